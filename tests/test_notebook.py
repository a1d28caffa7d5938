"""A real notebook, run by nbclient in a kernel: every kind of answer as the last line of a cell, figures, bars."""

import re

import nbformat
import pytest
from nbclient import NotebookClient

from test_result import UNDRAWN

pytestmark = pytest.mark.slow

CELLS = {
    "": """
import layerscope as ls
model = ls.load()
texts = ["He sat on the river bank.", "She asked the bank for a loan.", "The bank was closed.", "A bank of the Seine."]
labels = ["river", "money", "money", "river"]
trace = model.run("Then I tried to find some way of embracing my mother's ghost.", attention=True)
""",
    "Trace": "trace",
    "Tokens": "trace.tokens",
    "Similarity": "ls.similarity(model, texts)",
    "Comparison": "ls.compare(model, texts[0], texts[1])",
    "Partners": "ls.partners(trace)",
    "LayerAttention": "ls.attention(trace, 3)",
    "Heads": "ls.heads(model, texts)",
    "HeadSearch": """
from layerscope.corpus.conllu import Sentence
words = ("the", "crane", "stood")
sentence = Sentence("the crane stood", ((0, 3), (4, 9), (10, 15)), words, ("_",) * 3, ("_",) * 3, (1, 2, -1),
                    ("det", "nsubj", "root"))
ls.head_search(model, [sentence] * 3, minimum=1)""",
    "EmbeddingParts": 'ls.embedding_parts(model, "I am Mehdi")',
    "Look": 'ls.look(model, "Seeing is believing.")',
    "Drift": "ls.drift(model, texts)",
    "Senses": 'ls.senses(model, "bank", texts, labels)',
    "Neighbors": 'ls.neighbors(model, "ghost")',
    "Lens": 'ls.lens(ls.load("{decoder}"), "The capital of France is", k=3)',
    "Anatomy": 'ls.anatomy(model, "Seeing is believing.", layer=3)',
    "Verification": "ls.verify(model, texts)",
    "Plan": "ls.plan(model, texts, rate=1e4)",
    "Description": "model.describe()",
    "Sweep": 'ls.sweep(model, texts * 3, labels * 3, ["mean@all", "cls@-1"], cv=2)',
    "Hits": """
import tempfile
features = ls.extract(model, texts, tempfile.mkdtemp(), ["words@-1"], progress=True)
features.search(("the bank lends", "bank"), model=model, k=3)""",
    "a figure": "ax = ls.drift(model, texts).plot()",
    "a figure that is gone on with": "ax = ls.drift(model, texts).plot()\nax.set_title('mine')\nax",
}


@pytest.fixture(scope="module")
def cells(decoder_file, tmp_path_factory):
    """The outputs of each cell, by name."""
    sources = [source.replace("{decoder}", str(decoder_file)) for source in CELLS.values()]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    nbformat.write(notebook, tmp_path_factory.getbasetemp() / "answers.ipynb")
    return {name: cell.outputs for name, cell in zip(CELLS, notebook.cells, strict=True)}


def test_every_answer_as_the_last_line_of_a_cell_shows_its_table_and_its_picture_once(cells):
    for name in CELLS:
        if name[:1].isupper():
            (shown,) = [one for one in cells[name] if one.output_type != "stream"]
            html = shown.data["text/html"]
            assert html.count("<table") == 1, name
            assert html.count("data:image/png;base64,") == (name not in UNDRAWN), name
            assert shown.data["text/plain"].startswith(f"{name}("), name


def test_a_figure_appears_below_its_cell_without_a_magic(cells):
    for name in ("a figure", "a figure that is gone on with"):
        assert sum("image/png" in one.get("data", {}) for one in cells[name]) == 1, name


def test_a_bar_is_shown_and_nothing_else_is_said(cells):
    """Which of the others take long enough for a bar is the machine's affair."""
    said = "".join(one.text for outputs in cells.values() for one in outputs if one.output_type == "stream")
    assert "Extracting: 100%" in said
    assert not re.sub(r"\r\w+: [^\r\n]*", "", said).strip()
