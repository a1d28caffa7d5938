"""Every kind of answer, walked: its table, its plain values, its picture, its repr, what a notebook shows of it."""

import importlib
import inspect
import json
import pkgutil
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

import layerscope as ls
from layerscope.corpus.conllu import Sentence
from layerscope.plots.canvas import axes
from layerscope.result import Result

TEXT, TEXTS = "the bank", ["the bank of a river", "a bank", "the bank is new", "no bank here"]
SENTENCE = Sentence(
    "a bank", ((0, 1), (2, 6)), ("a", "bank"), ("DET", "NOUN"), ("_", "_"), (1, -1), ("det", "root")
)

ANSWERS = {
    "Trace": lambda m, d, f: m.run(TEXT, attention=True),
    "Tokens": lambda m, d, f: m.tokenize(TEXT, "a < b & $x$"),
    "Similarity": lambda m, d, f: ls.similarity(m, TEXTS, TEXT),
    "Comparison": lambda m, d, f: ls.compare(m, TEXT, TEXTS[0]),
    "Partners": lambda m, d, f: ls.partners(m.run(TEXT, attention=True)),
    "LayerAttention": lambda m, d, f: ls.attention(m.run(TEXT, attention=True), 1),
    "Heads": lambda m, d, f: ls.heads(m, TEXTS),
    "HeadSearch": lambda m, d, f: ls.head_search(m, [SENTENCE], minimum=1),
    "EmbeddingParts": lambda m, d, f: ls.embedding_parts(m, TEXT),
    "Look": lambda m, d, f: ls.look(d, TEXT),
    "Drift": lambda m, d, f: ls.drift(m, TEXTS),
    "Senses": lambda m, d, f: ls.senses(m, "bank", TEXTS, list("aabb")),
    "Neighbors": lambda m, d, f: ls.neighbors(m, 7),
    "Lens": lambda m, d, f: ls.lens(d, TEXT, k=2),
    "Anatomy": lambda m, d, f: ls.anatomy(m, TEXT),
    "Verification": lambda m, d, f: ls.verify(m, [TEXT]),
    "Plan": lambda m, d, f: ls.plan(m, TEXTS, rate=1e3),
    "Description": lambda m, d, f: m.describe(),
    "Sweep": lambda m, d, f: ls.sweep(m, TEXTS, list("aabb"), "mean@1", cv=2),
    "Hits": lambda m, d, f: ls.extract(m, TEXTS, f / "out", ["mean@1"]).search(TEXT, model=m),
}

# Of these a picture would say nothing.
UNDRAWN = {"Verification", "Plan"}


@pytest.fixture(scope="module")
def answers(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    return {name: make(tiny("bert"), tiny("gpt2"), folder) for name, make in ANSWERS.items()}


def test_every_kind_of_answer_is_walked():
    for found in pkgutil.walk_packages(ls.__path__, "layerscope."):
        if "__main__" not in found.name:
            importlib.import_module(found.name)
    kinds = {one.__name__ for one in Result.__subclasses__()}
    assert kinds == set(ANSWERS)


@pytest.mark.parametrize("name", ANSWERS)
def test_it_is_of_its_kind_and_has_a_table_and_plain_values(answers, name):
    answer = answers[name]
    assert type(answer).__name__ == name
    table = answer.table()
    assert isinstance(table, pd.DataFrame)
    assert len(table)
    assert plain(answer.to_dict())
    json.dumps(answer.to_dict())


def plain(value):
    """Whether a value is made of what JSON has."""
    if isinstance(value, dict):
        return all(type(key) is str and plain(one) for key, one in value.items())
    if isinstance(value, list | tuple):
        return all(map(plain, value))
    return value is None or type(value) in (str, bool, int, float)


@pytest.mark.parametrize("name", ANSWERS)
def test_its_repr_is_short_and_says_what_to_call(answers, name):
    shown = repr(answers[name])
    assert shown.startswith(f"{name}(")
    assert len(shown) <= 200
    assert "\n" not in shown
    for called in re.findall(r"\.(\w+)", shown.partition("); see ")[2].partition("; ")[0]):
        assert hasattr(answers[name], called) or called in ("array", "save"), called


@pytest.mark.parametrize("name", sorted(set(ANSWERS) - UNDRAWN))
def test_it_is_drawn_into_a_new_axes_or_a_given_one(answers, name):
    plot = answers[name].plot
    first, *others = inspect.signature(plot).parameters.values()
    assert (first.name, first.default) == ("ax", None)
    assert all(one.kind is one.KEYWORD_ONLY for one in others)
    assert isinstance(plot(), Axes)
    ax = axes(8, 6)
    assert plot(ax) is ax
    ax.figure.draw_without_rendering()
    with pytest.raises(ls.InputError, match="ax is an Axes of matplotlib; not 'red'"):
        plot("red")


def test_those_that_are_not_drawn(answers):
    assert {name for name in ANSWERS if not hasattr(answers[name], "plot")} == UNDRAWN


@pytest.mark.parametrize("name", ANSWERS)
def test_a_notebook_shows_its_table_and_its_picture(answers, name):
    shown = answers[name]._repr_html_()
    assert shown.count("<table") == 1
    assert shown.count("data:image/png;base64,") == (name not in UNDRAWN)
    assert "mathjax_ignore" in shown


def test_what_a_text_says_is_not_taken_as_html(model):
    shown = ls.similarity(model, ["<b>bold</b>", "$x^2$"])._repr_html_()
    assert "<b>bold" not in shown
    assert "&lt;b&gt;bold" in shown


def test_what_cannot_be_drawn_is_said_below_the_table(model):
    shown = model.run("a", layers=[1])._repr_html_()
    assert "<table" in shown
    assert "The picture of a trace compares layers" in shown
    many = ls.similarity(model, [f"text {number}" for number in range(130)])._repr_html_()
    assert "130 rows × 130 columns" in many
    assert "A heat map of 130 × 130 cannot be read as a figure" in many


def test_the_parts_of_an_embedding_as_arrays(answers):
    parts = answers["EmbeddingParts"]
    assert list(parts.arrays) == [*parts.parts, "sum", *parts.after, "layer 0"]
    np.testing.assert_array_equal(parts.arrays["layer 0"], parts.output)
    assert np.array(parts.to_dict()["steps"]["word"]).shape == parts.parts["word"].shape


def test_the_picture_of_a_trace_is_the_cosine_with_the_first_layer(model):
    trace = model.run("Seeing is believing.", layers=[0, 3, 6])
    shown = trace.plot().collections[0].get_array().reshape(6, 3)
    a, b = trace.hidden_states[0, 2], trace.hidden_states[1, 2]
    assert shown[2, 1] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)
    np.testing.assert_allclose(shown[:, 0], 1, atol=1e-5)
