"""What the documents and docstrings say is run, and what they print is what they print."""

import doctest
import importlib
import inspect
import pkgutil
import re
import shlex
from pathlib import Path

import pytest

import layerscope
from layerscope.cli.app import app

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
MODULES = [
    found.name
    for found in pkgutil.walk_packages(layerscope.__path__, "layerscope.")
    if "__main__" not in found.name
]
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


class Finder(doctest.DocTestFinder):
    """Finds the examples of functions that are wrapped, too."""

    def _from_module(self, module, it):
        return super()._from_module(module, inspect.unwrap(it) if callable(it) else it)


def test_examples_of_wrapped_functions_are_found():
    from layerscope.analysis import drift

    found = {test.name: len(test.examples) for test in Finder().find(drift, "drift")}
    assert found["drift.drift"] == 3


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_code_of_documents(path):
    examples = "\n".join(re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL))
    test = doctest.DocTestParser().get_doctest(examples, {}, path.name, str(path), 0)
    assert test.examples or "```python" not in path.read_text(encoding="utf-8")
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("name", ["layerscope", *MODULES])
def test_the_examples_of_docstrings(name):
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for test in Finder().find(module, name):
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


def test_the_commands_of_the_readme_exist():
    written = (ROOT / "README.md").read_text(encoding="utf-8")
    verbs = {shlex.split(line)[1] for line in re.findall(r"(?:`|/bin/)(layerscope [a-z][^`\n]*)", written)}
    known = {command.name for command in app.registered_commands}
    assert {"look", "compare", "verify", "describe", "tokens"} <= verbs <= known


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        assert link.startswith("https://") or (path.parent / link).exists(), link


def test_every_verb_of_the_makefile_that_the_readme_names():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make ([a-z]+)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
