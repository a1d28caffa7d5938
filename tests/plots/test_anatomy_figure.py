import numpy as np
import pytest

import layerscope as ls
from layerscope.plots.anatomy import stream

LENGTHS = {"input": np.array([1.0, 2.0, 3.0]), "down": np.array([0.5, 0.5, 2.0])}


def test_the_stream_shows_every_token_and_the_medians():
    ax = stream(LENGTHS, added={"down"}, title="A block")
    assert ax.get_title() == "A block"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["input", "down"]
    drawn = [line.get_ydata().tolist() for line in ax.lines if len(line.get_ydata())]
    assert drawn == [[1, 2, 3], [0.5, 0.5, 2]]
    medians = [bar.get_segments()[0][0, 1] for bar in ax.collections]
    assert medians == [2, 0.5]
    colours = [line.get_color() for line in ax.lines if len(line.get_ydata())]
    assert colours[0] != colours[1]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "the stream, and its norms",
        "what is added to it",
    ]
    assert (ax.get_yscale(), ax.get_ylim()[0]) == ("linear", 0)


def test_lengths_of_many_sizes_are_drawn_logarithmically():
    ax = stream({"input": np.array([1.0, 200.0])}, added=(), title="")
    assert ax.get_yscale() == "log"
    ax = stream({"input": np.array([0.0, 200.0])}, added=(), title="")
    assert ax.get_yscale() == "linear"


def test_the_figures_of_an_anatomy(model, tiny):
    found = ls.anatomy(model, "A ghost.", 2)
    ax = found.plot()
    assert " ".join(ax.get_title().split()).endswith("layer 2: 5 tokens through the block")
    assert len(ax.get_xticklabels()) == 7
    assert found.plot(ax) is ax
    ax = found.plot_head(head=3)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(found.tokens.strings)
    assert ax.texts[0].get_text() == f"{found.step('probabilities').array[3, 0, 0]:.2f}"
    causal = ls.anatomy(tiny("gpt2"), "A ghost.", 2)
    ax = causal.plot_head(head=0, step="masked scores")
    ax.figure.canvas.draw()
    tokens = len(ax.get_yticklabels())
    scores = causal.head(0, "masked scores").to_numpy()
    scores = scores[np.isfinite(scores)]
    assert ax.collections[0].get_clim() == pytest.approx((scores.min(), scores.max()))
    assert len(ax.texts) == tokens * (tokens + 1) / 2  # nothing stands where nothing may be seen
    with pytest.raises(ls.LayerscopeError, match="Head 12"):
        found.plot_head(head=12)
    many = ls.anatomy(model, "ghost " * 80, 2)
    with pytest.raises(ls.LayerscopeError, match="82 tokens cannot be read as a heat map; draw at most 64"):
        many.plot_head(head=0)
    assert many.head(0).shape == (82, 82)
