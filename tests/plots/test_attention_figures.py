import numpy as np
import pandas as pd
import pytest

import layerscope as ls
from layerscope.corpus.conllu import Sentence
from layerscope.errors import InputError
from layerscope.plots.attention import attention_heads, layers_by_heads
from layerscope.plots.canvas import axes

TEXT = "Then I tried to find some way of embracing my mother's ghost."


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def drawn(ax):
    """The numbers of a heat map."""
    return ax.collections[0].get_array().reshape(-1)


def maps_of(ax):
    ax.figure.canvas.draw()
    return ax.child_axes


def test_every_head_of_a_layer_is_drawn_under_its_name_with_every_token(model):
    found = ls.attention(model.run(TEXT, attention=True), layer=2)
    ax = found.plot()
    maps = maps_of(ax)
    assert [one.get_title() for one in maps] == [f"head {number}" for number in range(12)]
    for head, one in enumerate(maps):
        np.testing.assert_array_equal(one.images[0].get_array(), found.weights[head])
        assert one.images[0].get_clim() == (0, pytest.approx(found.weights.max()))
    assert labels(maps[0].get_yticklabels()) == list(found.labels)
    assert labels(maps[8].get_xticklabels()) == list(found.labels)
    assert len(ax.figure.axes) == 2  # its own, and the bar that says what the shades are
    assert " ".join(ax.get_title().split()).endswith("layer 2: every token attends to …")
    assert found.plot(ax) is ax


def test_the_lowest_map_of_each_column_has_the_labels():
    """Nine heads in rows of four leave three places of the last row empty."""
    maps = maps_of(attention_heads(np.stack([np.eye(2)] * 9), ["a", "b"], "nine"))
    assert [any(labels(one.get_xticklabels())) for one in maps] == [False] * 5 + [True] * 4
    assert [any(labels(one.get_yticklabels())) for one in maps] == [True, False, False, False] * 2 + [True]


def test_labels_are_taken_as_text():
    (one,) = maps_of(attention_heads(np.eye(4)[None], ["$x", "y$", "\n", " of"], "one"))
    assert labels(one.get_yticklabels()) == ["$x", "y$", r"\n", "of"]
    assert not any(label.get_parse_math() for label in one.get_yticklabels())


def test_too_many_tokens_to_be_read(model):
    found = ls.attention(model.run("bank " * 80, attention=True))
    with pytest.raises(
        InputError, match="Maps of 82 × 82 cannot be read side by side; draw a text of at most 64"
    ):
        found.plot()


def test_no_token_is_nothing_to_draw(tiny):
    with pytest.raises(InputError, match="The text has no tokens"):
        ls.attention(tiny("gpt2").run("", attention=True))


def test_one_head_with_its_numbers(model):
    found = ls.attention(model.run("Seeing is believing.", attention=True), layer=3)
    ax = found.plot(head=4)
    assert " ".join(ax.get_title().split()).endswith("layer 3, head 4")
    assert [text.get_text() for text in ax.texts] == [f"{one:.2f}" for one in found.weights[4].reshape(-1)]
    assert " ".join(found.plot(head="mean").get_title().split()).endswith("mean over the heads")
    assert found.plot(ax, head="max") is ax


def test_a_number_for_every_head(model):
    found = ls.heads(model, [TEXT])
    ax = found.plot(measure="next")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("head", "layer")
    assert labels(ax.get_yticklabels()) == ["1", "2", "3", "4", "5", "6"]
    np.testing.assert_allclose(drawn(ax), found.table()["next"])
    assert ax.collections[0].get_clim() == (0, 1)
    assert found.plot().collections[0].get_clim() == (0, found.table()["entropy"].max())
    assert found.plot(ax, measure="self") is ax


def test_heads_that_a_relation_was_not_asked_of_stay_empty():
    table = pd.DataFrame([[0.5, np.nan]], index=[1], columns=[0, 1])
    ax = layers_by_heads(table, "det", "accuracy", 1.0)
    assert [text.get_text() for text in ax.texts] == ["0.50"]


def test_a_relation_is_drawn_with_its_baseline(model):
    words = ((0, 3), (4, 8), (9, 13))
    forms, none = ("the", "bank", "fell"), ("_",) * 3
    sentence = Sentence("the bank fell", words, forms, none, none, (1, 2, -1), ("det", "nsubj", "root"))
    found = ls.head_search(model, [sentence], minimum=1)
    number, best = found.relations.index("det"), found.best("det")
    ax = found.plot(relation="det")
    title = " ".join(ax.get_title().split())
    assert title.endswith(f"det, attention {best['direction']}, 1 dependents; always +1: 1.00")
    np.testing.assert_allclose(drawn(ax), found.accuracies("det", best["direction"]).to_numpy().reshape(-1))
    other = found.plot(axes(8, 4), relation="det", direction="from head word")
    np.testing.assert_allclose(drawn(other), found.accuracy[1, number].reshape(-1))
