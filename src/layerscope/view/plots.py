"""Results as figures, by matplotlib and seaborn; each returns its Axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from layerscope.errors import MissingExtraError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches that a cell of a heat map takes, and its labels beside it.
_CELL = (0.62, 0.42)
_LABELS = (2.6, 1.6)


def heat(
    table: pd.DataFrame, title: str, ax: Axes | None = None, low: float = 0.0, high: float = 1.0
) -> Axes:
    """A labelled table of similarities as a heat map with its numbers."""
    seaborn = _seaborn()
    if ax is None:
        ax = _figure([table]).axes[0]
    seaborn.heatmap(
        table,
        ax=ax,
        vmin=low,
        vmax=high,
        cmap="Blues",
        annot=True,
        fmt=".2f",
        annot_kws={"size": 8},
        linewidths=0.5,
        cbar_kws={"label": "cosine similarity"},
    )
    ax.set(title=title, xlabel="", ylabel="")
    ax.tick_params(axis="x", rotation=40)
    ax.tick_params(axis="y", rotation=0)
    return ax


def heats(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Several heat maps side by side, each under its title."""
    figure = _figure(list(tables.values()))
    for ax, (title, table) in zip(list(figure.axes), tables.items(), strict=True):
        heat(table, title, ax)
    return figure


def _figure(tables: list[pd.DataFrame]) -> Figure:
    """A figure with room for each table; made without pyplot, so that no window or state is involved."""
    _seaborn()
    from matplotlib.figure import Figure

    widths = [_LABELS[0] + _CELL[0] * table.shape[1] for table in tables]
    height = _LABELS[1] + _CELL[1] * max(len(table) for table in tables)
    figure = Figure(figsize=(sum(widths), height), layout="constrained")
    figure.subplots(1, len(tables), width_ratios=widths, squeeze=False)
    return figure


def _seaborn() -> Any:
    try:
        import seaborn
    except ImportError as error:
        raise MissingExtraError("seaborn", "plots") from error
    return seaborn
