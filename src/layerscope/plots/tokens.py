"""Tokens in a row, each in a box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from layerscope.errors import InputError
from layerscope.plots.canvas import axes, label, legible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Letters of a line, of the longest token that is shown, and around each; tokens that can be read in one figure.
_LINE, _LONGEST, _AROUND, _MANY = 92, 40, 1.2, 600

# Inches that a letter and a line take, and the title.
_LETTER, _HEIGHT, _TITLE = 0.085, 0.34, 0.5

# Words in turn, then what belongs to none.
_WORDS, _SPECIAL = ("#deebf7", "#fdd9b5"), "#e0e0e0"


def token_boxes(
    tokens: Sequence[str],
    words: Sequence[int],
    special: Sequence[bool],
    title: str,
    ax: Axes | None = None,
) -> Axes:
    """Tokens in their order, in lines; those of a word in one colour, neighboring words in two.

    Args:
        tokens: as people read them.
        words: [token], the number of the word that each belongs to, -1 for none.
        special: [token], whether it is one of the template's.
        title: what is drawn.
        ax: where to draw; a new figure if left out.

    Raises:
        InputError: there are more tokens than can be read in one figure.
    """
    if len(tokens) > _MANY:
        raise InputError(
            f"{len(tokens):,} tokens cannot be read as a figure; draw at most {_MANY}, or take the table."
        )
    names = [legible(token, _LONGEST) for token in tokens]
    places, line, column = [], 0, 0.0
    for name in names:
        width = _width(name) + _AROUND
        if column and column + width > _LINE:
            line, column = line + 1, 0.0
        places.append((line, column, width))
        column += width
    if ax is None:
        ax = axes(_LINE * _LETTER, (line + 1) * _HEIGHT + _TITLE)
    from matplotlib.patches import FancyBboxPatch

    for name, word, is_special, (row, left, width) in zip(names, words, special, places, strict=True):
        colour = _SPECIAL if is_special or word < 0 else _WORDS[word % len(_WORDS)]
        box = FancyBboxPatch(
            (left + 0.15, row + 0.15),
            width - 0.3,
            0.7,
            boxstyle="round,pad=0,rounding_size=0.2",
            facecolor=colour,
            edgecolor="none",
            mutation_aspect=_LETTER / _HEIGHT,
        )
        ax.add_patch(box)
        ax.text(
            left + width / 2,
            row + 0.52,
            name,
            ha="center",
            va="center",
            fontsize=8.5,
            fontfamily="monospace",
            color="black",
            parse_math=False,
        )
    ax.set(xlim=(0, _LINE), ylim=(line + 1, 0))
    ax.set_axis_off()
    label(ax, title, "", "")
    return ax


def _width(name: str) -> int:
    """Letters that a name takes; those of East Asian scripts are twice as wide."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in name)
