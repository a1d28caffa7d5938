"""Measures that change along an axis, such as the layers, as lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from layerscope.plots.canvas import PALETTE, axes, label, seaborn

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Inches of a figure.
_WIDTH, _HEIGHT = 6.4, 4.2


def curves(
    lines: Mapping[str, pd.Series],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    bands: Mapping[str, tuple[pd.Series, pd.Series]] | None = None,
    marker: str | None = "o",
    ax: Axes | None = None,
) -> Axes:
    """A line for each named series over its index, such as layers; where a value is NaN it has a gap.

    Args:
        lines: the series, by the names that the legend says; their indices may differ.
        title, xlabel, ylabel: what is drawn.
        bands: for some of the names the lower and the upper end of an interval, shaded.
        marker: what stands at each value; None for a line alone.
        ax: where to draw; a new figure if left out.
    """
    if ax is None:
        ax = axes(_WIDTH, _HEIGHT)
    colours = seaborn().color_palette(PALETTE, len(lines))
    for colour, (name, values) in zip(colours, lines.items(), strict=True):
        ax.plot(values.index, values.to_numpy(), color=colour, marker=marker, markersize=4, label=name)
    for colour, name in zip(colours, lines, strict=True):
        if bands and name in bands:
            low, high = bands[name]
            ax.fill_between(low.index, low.to_numpy(), high.to_numpy(), color=colour, alpha=0.15, linewidth=0)
    label(ax, title, xlabel, ylabel)
    _at_whole_numbers(ax)
    ax.grid(axis="y", linewidth=0.4)
    ax.set_axisbelow(True)
    if len(lines) > 1:
        ax.legend(frameon=False)
    return ax


def _at_whole_numbers(ax: Axes) -> None:
    """Mark the x axis at whole numbers only: there is no layer 2.5."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
