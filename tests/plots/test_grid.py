import numpy as np
import pandas as pd
import pytest

from layerscope.errors import InputError
from layerscope.plots.grid import token_grid

TOKENS = pd.DataFrame([[" the", "$_$"], ["\n", "银"], [" Paris", "$_$"]])
PROBABILITIES = np.array([[0.1, 0.9], [0.2, 0.3], [0.8, 0.5]])
SAID = {"title": "Lens", "xlabel": "token that was read", "meaning": "probability"}


def test_layer_0_is_at_the_bottom_and_white_space_is_seen():
    ax = token_grid(TOKENS, PROBABILITIES, [" capital", "$^$"], **SAID)
    ax.figure.draw_without_rendering()
    assert ax.get_title() == "Lens"
    shown = {text.get_position(): text for text in ax.texts}
    assert [shown[0, layer].get_text() for layer in range(3)] == ["·the", "⏎", "·Paris"]
    assert [shown[1, layer].get_text() for layer in range(3)] == ["$_$", "U+94F6", "$_$"]
    low, high = (ax.transData.transform((0, layer))[1] for layer in (0, 2))
    assert low < high
    assert [label.get_text() for label in ax.get_xticklabels()] == ["·capital", "$^$"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "1", "2"]


def test_colours_are_probabilities_and_the_last_token_is_bold():
    ax = token_grid(TOKENS, PROBABILITIES, ["a", "b"], **SAID)
    np.testing.assert_array_equal(ax.images[0].get_array(), PROBABILITIES)
    assert ax.images[0].get_clim() == (0, 1)
    shown = {text.get_position(): text for text in ax.texts}
    assert [shown[1, layer].get_fontweight() for layer in range(3)] == ["bold", "normal", "bold"]
    assert [shown[0, layer].get_color() for layer in range(3)] == ["black", "black", "white"]


@pytest.mark.parametrize("count", [1, 20, 60])
def test_long_tokens_are_cut_to_their_cells(count):
    tokens = pd.DataFrame([["internationalisation"] * count] * 4)
    ax = token_grid(tokens, np.full((4, count), 0.5), ["internationalisation"] * count, **SAID)
    ax.figure.draw_without_rendering()
    assert all(text.get_text().endswith("…") for text in ax.texts)
    cell = np.diff(ax.transData.transform([(0, 0), (1, 1)]), axis=0)[0]
    for text in ax.texts:
        extent = text.get_window_extent()
        assert extent.width <= cell[0]
        assert extent.height <= cell[1]


def test_an_axes_of_ones_own():
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert token_grid(TOKENS, PROBABILITIES, ["a", "b"], **SAID, ax=ax) is ax


def test_too_many_positions():
    tokens = pd.DataFrame([["a"] * 121] * 2)
    with pytest.raises(
        InputError, match="A grid of 121 positions cannot be read as a figure; draw at most 120"
    ):
        token_grid(tokens, np.zeros((2, 121)), ["a"] * 121, **SAID)
