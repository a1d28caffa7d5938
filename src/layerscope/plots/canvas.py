"""The sheet that figures are drawn on; without pyplot, its windows and its state, except in a notebook."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from layerscope.errors import InputError, missing
from layerscope.notebook import in_notebook
from layerscope.shown import shorten, visible
from layerscope.writing import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# One order of colours for kinds of things, distinct for colour-blind readers (seaborn's "colorblind").
PALETTE = "colorblind"

# From little to much.
SHADES = "Blues"

_DOTS_PER_INCH = 150

# Letters of a title that an inch holds, at the least.
_LETTERS = 13


def seaborn() -> Any:
    """The module seaborn.

    Raises:
        MissingExtraError: it, or matplotlib, is not installed.
    """
    try:
        import seaborn
    except ImportError as error:
        raise missing("seaborn", "matplotlib") from error
    return seaborn


def figure(width: float, height: float) -> Figure:
    """An empty figure, in inches; in a notebook one that is shown below its cell."""
    seaborn()
    if in_notebook():
        from matplotlib import pyplot

        return pyplot.figure(figsize=(width, height), layout="constrained")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def axes(width: float, height: float) -> Axes:
    """The Axes of a new figure, in inches."""
    return figure(width, height).subplots()


def label(ax: Axes, title: str, xlabel: str, ylabel: str) -> None:
    """Say what is drawn; a title that is too long for the Axes breaks into lines, a path in it too."""
    sheet = ax.get_figure(root=True)
    assert sheet is not None
    width = sheet.get_figwidth() * ax.get_position().width
    ax.set_title(fill(title, max(int(width * _LETTERS), 16)), fontsize=10, parse_math=False)
    ax.set(xlabel=xlabel, ylabel=ylabel)


def legible(token: str, most: int) -> str:
    """A token as it fits into a place of so many letters; characters that the font lacks as their code points."""
    known = _characters()
    shown = "".join(c if ord(c) in known else f"U+{ord(c):04X}" for c in visible(token))
    return shorten(shown, most)


@cache
def _characters() -> frozenset[int]:
    """The code points that the font has a sign for."""
    from matplotlib import font_manager as fonts

    font: Any = fonts.get_font(fonts.findfont(fonts.FontProperties()))
    return frozenset(font.get_charmap())


def save(ax: Axes, path: str | Path) -> None:
    """Write the figure that an Axes is in, in the format that the file's name ends with; whole or not at all.

    Raises:
        InputError: the file cannot be written, or its name ends with no format that is known.
    """
    path = Path(path)
    import matplotlib as mpl

    drawn = BytesIO()
    sheet = ax.get_figure(root=True)
    assert sheet is not None
    kind = path.suffix.removeprefix(".").lower()
    # Without a date, and with names that are not random, the same figure is the same file.
    about = {"Date": None} if kind == "svg" else None
    if kind not in sheet.canvas.get_supported_filetypes():
        raise InputError(f"A figure is written as .png, .svg or .pdf; not as {path.name}.")
    with mpl.rc_context({"svg.hashsalt": "layerscope"}):
        sheet.savefig(drawn, dpi=_DOTS_PER_INCH, format=kind, metadata=about)
    write_whole(path, lambda to: to.write_bytes(drawn.getvalue()))
