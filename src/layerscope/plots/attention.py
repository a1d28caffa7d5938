"""Attention heads: all of a layer, each as a map of token by token; and a number for each, layers by heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import InputError
from layerscope.plots.canvas import SHADES, axes, label
from layerscope.plots.heat import heat

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Maps side by side; inches that a row or column of one takes, the least a map takes, and labels and title.
_COLUMNS = 4
_CELL, _LEAST = 0.16, 1.3
_LABELS, _TITLE = 0.9, 0.6

# Of the room that a map has, the share that it fills; the most queries of a map.
_SHARE, _MANY = 0.86, 64


def attention_heads(
    weights: NDArray[np.floating], labels: Sequence[str], title: str, ax: Axes | None = None
) -> Axes:
    """A map for each head: queries down, keys across, one scale for all; labels at the edges.

    Args:
        weights: [head, query, key].
        labels: what the queries and keys are called.
        title: above all of them.
        ax: where to draw; a new figure if left out.

    Raises:
        InputError: there are more queries than can be read in one figure.
    """
    count, size = len(weights), len(labels)
    if size > _MANY:
        raise InputError(
            f"Maps of {size} × {size} cannot be read side by side; draw a text of at most {_MANY} tokens or words, or "
            "one head."
        )
    columns = min(_COLUMNS, count)
    rows = -(-count // columns)
    side = max(_CELL * size, _LEAST)
    if ax is None:
        ax = axes(columns * (side + 0.2) + 2 * _LABELS, rows * (side + 0.3) + _LABELS + _TITLE)
    ax.set_axis_off()
    label(ax, title, "", "")
    high = float(weights.max(initial=0.0))
    names = [" ".join(one.split()) or repr(one)[1:-1] for one in labels]
    for head, values in enumerate(weights):
        row, column = divmod(head, columns)
        place = ax.inset_axes((column / columns, 1 - (row + 1) / rows, _SHARE / columns, _SHARE / rows))
        drawn = place.imshow(values, vmin=0, vmax=high, cmap=SHADES, aspect="auto")
        place.set_title(f"head {head}", fontsize=9)
        is_lowest = head + columns >= count
        place.set_xticks(range(size), names if is_lowest else [""] * size, rotation=90, parse_math=False)
        place.set_yticks(range(size), names if column == 0 else [""] * size, parse_math=False)
        place.tick_params(labelsize=7, length=0)
    sheet = ax.get_figure()
    assert sheet is not None
    sheet.colorbar(drawn, ax=ax, label="attention", shrink=0.5)
    return ax


def layers_by_heads(
    table: pd.DataFrame, title: str, meaning: str, high: float, ax: Axes | None = None
) -> Axes:
    """A number between 0 and `high` for every head, layers down, heads across; `meaning` says what it is."""
    ax = heat(table, title, ax, 0.0, high, meaning)
    for tick in ax.get_xticklabels():
        tick.set(rotation=0, ha="center")
    ax.set(xlabel="head", ylabel="layer")
    return ax
