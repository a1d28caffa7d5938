import numpy as np

from layerscope.plots.violins import violins


def test_a_violin_for_each_group_and_a_line_through_the_medians():
    groups = {"1": np.array([0.1, 0.2, 0.4, np.nan]), "2": np.array([0.5, 0.7, 0.9]), "3": np.array([np.nan])}
    ax = violins(groups, title="t", xlabel="layer", ylabel="cosine")
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "2", "3"]
    np.testing.assert_allclose(ax.lines[-1].get_ydata(), [0.2, 0.7, np.nan])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("layer", "cosine")
    ax.get_figure().canvas.draw()


def test_one_value_a_group():
    violins({"1": np.array([0.1]), "2": np.array([0.5])}, title="t", xlabel="x", ylabel="y")
