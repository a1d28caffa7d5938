"""Labelled tables as heat maps with their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from layerscope.errors import InputError
from layerscope.plots.canvas import SHADES, figure, label, seaborn
from layerscope.shown import shorten

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches that a cell of a heat map takes, and its labels beside it.
_CELL = (0.62, 0.42)
_LABELS = (2.6, 1.6)

# Cells that still have room for their numbers; the most rows or columns that can be read.
_NUMBERED, _MANY = 1000, 120

# Characters of a label that are shown across and down.
_ACROSS, _DOWN = 24, 40


def heat(
    table: pd.DataFrame,
    title: str,
    ax: Axes | None = None,
    low: float = 0.0,
    high: float = 1.0,
    meaning: str = "cosine similarity",
) -> Axes:
    """A labelled table of numbers between `low` and `high`, with the numbers in it; `meaning` says what they are.

    Raises:
        InputError: there are more rows or columns than can be read in one figure.
    """
    if max(table.shape) > _MANY:
        raise InputError(
            f"A heat map of {table.shape[0]} × {table.shape[1]} cannot be read as a figure; draw at most {_MANY} rows "
            "and columns, or take the table."
        )
    if ax is None:
        ax = _sheet([table]).axes[0]
    seaborn().heatmap(
        table,
        ax=ax,
        vmin=low,
        vmax=high,
        cmap=SHADES,
        annot=table.size <= _NUMBERED,
        fmt=".2f",
        annot_kws={"size": 8},
        linewidths=0.5,
        cbar_kws={"label": meaning},
    )
    label(ax, title, "", "")
    for names, axis, most in ((table.columns, ax.xaxis, _ACROSS), (table.index, ax.yaxis, _DOWN)):
        axis.set_ticks(
            np.arange(len(names)) + 0.5, [shorten(str(name), most) for name in names], parse_math=False
        )
    ax.tick_params(axis="y", rotation=0)
    for tick in ax.get_xticklabels():
        tick.set(rotation=40, ha="right", rotation_mode="anchor")
    return ax


def heats(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Several heat maps of similarity side by side, each under its title."""
    sheet = _sheet(list(tables.values()))
    for ax, (title, table) in zip(list(sheet.axes), tables.items(), strict=True):
        heat(table, title, ax)
    return sheet


def _sheet(tables: list[pd.DataFrame]) -> Figure:
    """A figure with room for each table."""
    widths = [_LABELS[0] + _CELL[0] * table.shape[1] for table in tables]
    height = _LABELS[1] + _CELL[1] * max(len(table) for table in tables)
    sheet = figure(sum(widths), height)
    sheet.subplots(1, len(tables), width_ratios=widths, squeeze=False)
    return sheet
