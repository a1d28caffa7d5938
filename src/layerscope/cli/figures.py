"""Figures that a verb writes beside what it prints."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerscope.cli.output import note
from layerscope.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def home(path: Path | None) -> Path | None:
    """A path with ~ for the user's own folder, which a shell does not see in --png=~/FILE."""
    return None if path is None else Path(os.path.expanduser(path))


Png = Annotated[
    Path | None, typer.Option("--png", metavar="FILE", callback=home, help="Also draw it into a PNG file.")
]
Svg = Annotated[
    Path | None, typer.Option("--svg", metavar="FILE", callback=home, help="Also draw it into an SVG file.")
]


def check_figures(png: Path | None, svg: Path | None) -> None:
    """Raise at once, before anyone waits, if what is to be drawn cannot be.

    Raises:
        InputError: a name that does not end as its format does, or a folder that is not there.
        MissingExtraError: matplotlib or seaborn is not installed.
    """
    for path, ending in ((png, ".png"), (svg, ".svg")):
        if path is None:
            continue
        from layerscope.plots.canvas import seaborn

        seaborn()
        if path.suffix.lower() != ending:
            raise InputError(f"--{ending[1:]} writes a file that ends with {ending}; not {path}.")
        if not path.parent.is_dir():
            raise InputError(f"{path} cannot be written: there is no folder {path.parent}.")


def write_figures(plot: Callable[[], Axes], png: Path | None, svg: Path | None) -> None:
    """Draw once into whatever was asked for, and say where."""
    paths = [path for path in (png, svg) if path is not None]
    if not paths:
        return
    from layerscope.plots.canvas import save

    ax = plot()
    for path in paths:
        save(ax, path)
        note(f"Drawn into {path}.")
