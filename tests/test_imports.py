"""Importing does nothing: checked in processes of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

import layerscope

HEAVY = {
    "torch",
    "transformers",
    "ray",
    "fastapi",
    "matplotlib",
    "seaborn",
    "pandas",
    "sklearn",
    "datasets",
    "rich",
}


def loaded_after(code):
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert result.stderr == ""
    return set(result.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    before = loaded_after("")
    assert not loaded_after("import layerscope") & HEAVY - before


def test_help_loads_no_network_library():
    code = "import sys; sys.argv = ['layerscope', '--help']\nfrom layerscope.cli.app import app\n"
    assert not loaded_after(code) & {"torch", "transformers", "pandas", "matplotlib"}


def test_importing_changes_nothing_around_it():
    code = (
        "import os, threading, warnings\n"
        "before = dict(os.environ), list(warnings.filters), threading.active_count()\n"
        "import layerscope; layerscope.load\n"
        "assert dict(os.environ) == before[0]\n"
        "assert threading.active_count() == before[2]\n"
        "print('same')"
    )
    assert "same" in loaded_after(code)


def test_every_public_name_is_there_whatever_was_imported_before():
    code = (
        "import importlib, pkgutil, layerscope\n"
        "for found in pkgutil.walk_packages(layerscope.__path__, 'layerscope.'):\n"
        "    '__main__' in found.name or importlib.import_module(found.name)\n"
        "for name in layerscope.__all__:\n"
        "    space = {}\n"
        "    exec(f'from layerscope import {name}', space)\n"
        "    assert callable(space[name]) or name in ('samples', 'algebra'), name\n"
    )
    loaded_after(code)


def test_every_error_and_warning_is_public():
    code = (
        "import inspect, layerscope, layerscope.errors as errors\n"
        "ours = [name for name, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, Exception)]\n"
        "assert set(ours) <= set(layerscope.__all__), ours\n"
    )
    loaded_after(code)


def test_no_files_import_each_other_in_a_circle():
    code = (
        "import sys; sys.path.insert(0, 'docs')\n"
        "import imports, networkx as nx\n"
        "graph = imports.files()\n"
        "assert graph.number_of_edges() > 900\n"
        "assert nx.is_directed_acyclic_graph(graph), list(nx.find_cycle(graph))\n"
    )
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        layerscope.lod  # noqa: B018
    assert {"load", "similarity"} <= set(dir(layerscope))
