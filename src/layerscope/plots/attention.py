"""Attention heads: all of a layer, each as a map of token by token; and a number for each, layers by heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from layerscope.plots.canvas import SHADES, figure, seaborn
from layerscope.plots.heat import heat

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Maps side by side; inches that a row or column of one takes, the least a map takes, and labels and title.
_COLUMNS = 4
_CELL, _LEAST = 0.16, 1.3
_LABELS, _TITLE = 0.9, 0.6


def attention_heads(tables: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """A map for each head, under its name: queries down, keys across, one scale for all; labels at the edges.

    Args:
        tables: [query, key] by the names of the heads; all with the same labels.
        title: above all of them.
    """
    first = next(iter(tables.values()))
    columns = min(_COLUMNS, len(tables))
    rows = -(-len(tables) // columns)
    height, width = (max(_CELL * size, _LEAST) for size in first.shape)
    sheet = figure(columns * (width + 0.2) + 2 * _LABELS, rows * (height + 0.3) + _LABELS + _TITLE)
    grid = sheet.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    highest = max(float(table.to_numpy().max()) for table in tables.values())
    for ax, (name, table) in zip(grid.flat, tables.items(), strict=False):
        seaborn().heatmap(table, ax=ax, vmin=0, vmax=highest, cmap=SHADES, cbar=False, square=True)
        ax.set_title(name, fontsize=9)
        ax.set(xlabel="", ylabel="")
        _name_cells(ax, table)
    for ax in list(grid.flat)[len(tables) :]:
        ax.remove()
    for column in range(
        columns
    ):  # the lowest map of each column has the labels, also where the last row is short
        lowest = grid[(len(tables) - 1 - column) // columns, column]
        lowest.tick_params(axis="x", labelbottom=True)
    drawn = list(grid.flat)[: len(tables)]
    sheet.colorbar(drawn[0].collections[0], ax=drawn, label="attention", shrink=0.5)
    sheet.suptitle(title, fontsize=11)
    return sheet


def layers_by_heads(
    table: pd.DataFrame, title: str, meaning: str, high: float, ax: Axes | None = None
) -> Axes:
    """A number between 0 and `high` for every head, layers down, heads across; `meaning` says what it is."""
    ax = heat(table, title, ax, 0.0, high, meaning)
    for tick in ax.get_xticklabels():
        tick.set(rotation=0, ha="center")
    ax.set(xlabel="head", ylabel="layer")
    return ax


def _name_cells(ax: Axes, table: pd.DataFrame) -> None:
    """Every row and column by its label; seaborn leaves some out where it finds little room."""
    ax.set_xticks([place + 0.5 for place in range(table.shape[1])], _plain(table.columns), rotation=90)
    ax.set_yticks([place + 0.5 for place in range(table.shape[0])], _plain(table.index), rotation=0)
    ax.tick_params(labelsize=7, length=0)


def _plain(labels: pd.Index) -> list[str]:
    """Labels on one line each, with no sign that would be read as a formula."""
    return [" ".join(str(label).split()).replace("$", r"\$") or repr(str(label))[1:-1] for label in labels]
