"""The residual stream through a block: the vectors of all tokens, step by step."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from layerscope.plots.canvas import PALETTE, axes, label, seaborn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches of a figure.
_WIDTH, _HEIGHT = 7.2, 4.4

# Where some vectors are so many times longer than others, lengths are drawn on a logarithmic scale.
_SPREAD = 50


def stream(
    lengths: Mapping[str, NDArray[np.floating]],
    *,
    added: Collection[str],
    title: str,
    ax: Axes | None = None,
) -> Axes:
    """A dot for the vector of each token at each step, and the medians; what is added to the stream has its own colour.

    Args:
        lengths: [token] for each step, in order.
        added: the steps that are added to the stream.
        title: what is drawn.
        ax: where to draw; a new figure if left out.
    """
    if ax is None:
        ax = axes(_WIDTH, _HEIGHT)
    blue, orange = seaborn().color_palette(PALETTE, 2)
    names = {"the stream, and its norms": blue, "what is added to it": orange}
    for place, (name, values) in enumerate(lengths.items()):
        colour = orange if name in added else blue
        ax.plot(np.full(len(values), place), values, "o", color=colour, alpha=0.25, markersize=4)
        ax.hlines(np.median(values), place - 0.3, place + 0.3, color=colour, linewidth=2.5)
    for name, colour in names.items():
        ax.plot([], [], color=colour, linewidth=2.5, label=name)
    every = np.concatenate(list(lengths.values()))
    if every.min(initial=1) > 0 and every.max(initial=1) > _SPREAD * every.min(initial=1):
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=0)
    ax.set_xticks(range(len(lengths)), list(lengths), rotation=30, ha="right")
    label(ax, title, "", "length of each token's vector (bar: median)")
    ax.grid(axis="y", linewidth=0.4)
    ax.set_axisbelow(True)
    ax.legend(frameon=False, fontsize=8)
    return ax
