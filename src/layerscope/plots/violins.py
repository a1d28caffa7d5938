"""How values are spread, one violin a group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from layerscope.plots.canvas import axes, label, seaborn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches that a violin takes, and what is beside them; the least a figure takes.
_VIOLIN, _BESIDE = 0.62, 1.8
_WIDTH, _HEIGHT = 6.4, 4.2


def violins(
    groups: Mapping[str, NDArray[np.floating]],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    ax: Axes | None = None,
) -> Axes:
    """A violin for the values of each group, in their order; the line joins the medians. NaN is left out."""
    if ax is None:
        ax = axes(max(_BESIDE + _VIOLIN * len(groups), _WIDTH), _HEIGHT)
    kept = {name: values[np.isfinite(values)] for name, values in groups.items()}
    names = np.repeat(np.array(list(kept), dtype=object), [len(values) for values in kept.values()])
    seaborn().violinplot(
        x=names,
        y=np.concatenate(list(kept.values())),
        order=list(kept),
        color="#9ecae1",
        inner="quart",
        linewidth=0.8,
        cut=0,
        density_norm="width",
        ax=ax,
    )
    medians = [np.median(values) if len(values) else np.nan for values in kept.values()]
    ax.plot(range(len(kept)), medians, color="#08519c", linewidth=1, marker="o", markersize=3)
    label(ax, title, xlabel, ylabel)
    ax.grid(axis="y", linewidth=0.4)
    ax.set_axisbelow(True)
    return ax
