import numpy as np
import pandas as pd
import pytest

from layerscope.plots.canvas import axes
from layerscope.plots.curves import curves

RISING = pd.Series([0.1, 0.4, 0.9], index=[0, 1, 2])
GAPS = pd.Series([0.3, np.nan, 0.2], index=[0, 6, 12])


def drawn(lines, **options):
    return curves(lines, title="A title", xlabel="layer", ylabel="score", **options)


def test_lines_are_what_was_given():
    ax = drawn({"mean": RISING, "cls": GAPS})
    for line, series in zip(ax.lines, (RISING, GAPS), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), series.index)
        np.testing.assert_array_equal(line.get_ydata(), series)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["mean", "cls"]
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("A title", "layer", "score")


def test_a_band_has_the_colour_of_its_line():
    ax = drawn({"mean": RISING, "cls": GAPS}, bands={"cls": (GAPS - 0.1, GAPS + 0.1)})
    (band,) = ax.collections
    assert tuple(band.get_facecolor()[0][:3]) == pytest.approx(ax.lines[1].get_color())
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((0.2, 0.4))


def test_layers_are_whole_and_one_line_needs_no_legend():
    ax = drawn({"mean": RISING})
    ax.figure.canvas.draw()
    assert all(float(tick).is_integer() for tick in ax.get_xticks())
    assert ax.get_legend() is None


def test_into_axes_that_are_there():
    ax = axes(4, 3)
    assert drawn({"mean": RISING}, ax=ax) is ax
