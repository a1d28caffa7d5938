"""Named values as horizontal bars, the first on top."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerscope.errors import InputError
from layerscope.plots.canvas import axes, label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Inches that a bar takes, and what is above and below them; the width of a figure.
_BAR, _BESIDE = 0.28, 1.2
_WIDTH = 6.4

# Bars that can be read in one figure.
_MANY = 100


def bars(values: pd.Series, *, title: str, xlabel: str, ylabel: str, ax: Axes | None = None) -> Axes:
    """A bar for each value of a series, named by its index, with the number at its end.

    Raises:
        InputError: there are more than can be read in one figure.
    """
    if len(values) > _MANY:
        raise InputError(f"{len(values):,} bars cannot be read as a figure; draw at most {_MANY}.")
    if ax is None:
        ax = axes(_WIDTH, _BESIDE + _BAR * max(len(values), 1))
    # Drawn by position, since two bars may have the same name.
    places = list(range(len(values)))
    drawn = ax.barh(places, values.to_numpy(), color="#6baed6")
    ax.invert_yaxis()
    ax.set_yticks(places, [str(name) for name in values.index], parse_math=False)
    ax.bar_label(drawn, fmt="%.3f", padding=3, fontsize=8)
    ax.margins(x=0.12)
    label(ax, title, xlabel, ylabel)
    ax.grid(axis="x", linewidth=0.4)
    ax.set_axisbelow(True)
    return ax
