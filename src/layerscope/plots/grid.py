"""Tokens by layer and position, as a grid: what each layer would predict, what each word attends to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import InputError
from layerscope.plots.canvas import SHADES, axes, label, legible

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Inches that a cell takes: its height, and its width where there are few positions and where there are many.
_HEIGHT, _WIDE, _NARROW = 0.24, 0.85, 0.56
_FEW, _MANY = 20, 120
_BESIDE = (2.0, 1.6)

# Points of the letters, and inches that one takes.
_LETTERS, _LETTER = 7, 0.07


def token_grid(
    tokens: pd.DataFrame,
    shades: NDArray[np.floating],
    labels: Sequence[str],
    *,
    title: str,
    xlabel: str,
    meaning: str,
    ax: Axes | None = None,
) -> Axes:
    """A table of tokens [layer, position], the first layer at the bottom, each on its shade, from 0 to 1.

    The last layer's token is bold wherever it stands in its column. White space is made visible, what is too long
    for its cell is cut with "…", and a character that the font does not have is written as its code point.

    Args:
        tokens: strings, by layer and position.
        shades: [layer, position], of these tokens.
        labels: [position], the tokens of the text.
        title, xlabel: what is drawn.
        meaning: of the shades.
        ax: where to draw; a new figure if left out.

    Raises:
        InputError: there are more positions than can be read in one figure.
    """
    layers, positions = tokens.shape
    if positions > _MANY:
        raise InputError(
            f"A grid of {positions} positions cannot be read as a figure; draw at most {_MANY} tokens at a time."
        )
    width = _WIDE if positions <= _FEW else _NARROW
    if ax is None:
        ax = axes(_BESIDE[0] + width * positions, _BESIDE[1] + _HEIGHT * layers)
    most = int(width / _LETTER)
    cells: list[list[str]] = tokens.to_numpy().tolist()
    drawn = ax.imshow(shades, origin="lower", aspect="auto", cmap=SHADES, vmin=0, vmax=1)
    for layer, position in np.ndindex(layers, positions):
        ax.text(
            position,
            layer,
            legible(cells[layer][position], most),
            ha="center",
            va="center",
            fontsize=_LETTERS,
            color="white" if shades[layer, position] > 0.6 else "black",
            fontweight="bold" if cells[layer][position] == cells[-1][position] else "normal",
            parse_math=False,
        )
    names = [legible(one, most) for one in labels]
    ax.set_xticks(range(positions), names, fontsize=_LETTERS + 1, rotation=40, ha="right", parse_math=False)
    ax.set_yticks(range(layers), [str(layer) for layer in tokens.index], fontsize=_LETTERS + 1)
    sheet = ax.get_figure()
    assert sheet is not None
    sheet.colorbar(drawn, ax=ax, label=meaning, fraction=0.015, pad=0.01, aspect=30)
    label(ax, title, xlabel, "layer")
    return ax
