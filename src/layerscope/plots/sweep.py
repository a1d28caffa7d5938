"""Scores by layer: a line with its interval for each pooling, points for layers put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from layerscope.plots.canvas import PALETTE, axes, seaborn
from layerscope.plots.curves import curves

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 7.6, 4.6

# Points at one layer stand within so much of the next, side by side.
_SPREAD = 0.6

# How levels across the figure are drawn, in their order.
_DASHES = ("--", ":")


def sweep_curves(
    single: Mapping[str, pd.DataFrame],
    combined: pd.DataFrame,
    *,
    levels: Mapping[str, float],
    title: str,
    ylabel: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw the scores of a sweep.

    Args:
        single: for each pooling a table by layer, with columns score, low and high.
        combined: the same columns for layers put together, and "layer", the deepest; named by its index.
        levels: scores that hold for all layers, as lines across.
        title, ylabel: what is drawn.
        ax: where to; a new figure if left out.
    """
    ax = curves(
        {name: table["score"] for name, table in single.items()},
        bands={name: (table["low"], table["high"]) for name, table in single.items()},
        title=title,
        xlabel="layer (0 = embeddings)",
        ylabel=ylabel,
        ax=axes(_WIDTH, _HEIGHT) if ax is None else ax,
    )
    colours = seaborn().color_palette(PALETTE, len(single) + len(combined))[len(single) :]
    number = combined.groupby("layer").cumcount() + 1
    share = number / (number.groupby(combined["layer"]).transform("size") + 1)
    places = combined["layer"] + _SPREAD * share
    points = zip(colours, places, combined.to_dict("index").items(), strict=True)
    for colour, place, (name, one) in points:
        ax.errorbar(
            [place],
            [one["score"]],
            yerr=[[one["score"] - one["low"]], [one["high"] - one["score"]]],
            color=colour,
            marker="D",
            markersize=5,
            capsize=3,
            linestyle="none",
            label=str(name),
        )
    for dashes, (name, level) in zip(_DASHES, levels.items(), strict=False):
        ax.axhline(level, color="0.4", linestyle=dashes, linewidth=1, label=name)
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
    return ax
