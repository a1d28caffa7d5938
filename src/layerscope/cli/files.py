"""Files that a verb writes beside what it prints: its table, its figure."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerscope.cli.output import note
from layerscope.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def home(path: Path | None) -> Path | None:
    """A path with ~ for the user's own folder, which a shell does not see in --png=~/FILE."""
    return None if path is None else Path(os.path.expanduser(path))


def _option(name: str, what: str) -> Any:
    """An option that names a file to write."""
    return typer.Option(name, metavar="FILE", callback=home, help=what)


@dataclass(frozen=True)
class TableFile:
    """The table of a verb as a file."""

    csv: Annotated[Path | None, _option("--csv", "Also write the table into a CSV file.")] = None

    def check(self) -> None:
        """Raise at once, before anyone waits, if what is asked for cannot be written.

        Raises:
            InputError: a name that does not end as its format does, or a folder that is not there.
            MissingExtraError: matplotlib or seaborn is not installed, which a figure needs.
        """
        _check(self.csv, ".csv")

    def table(self, table: Callable[[], pd.DataFrame]) -> None:
        """Write the table, if it was asked for, and say where; its index too where that has a meaning."""
        if self.csv is None:
            return
        from layerscope.writing import write_whole

        rows = table()
        has_labels = (
            any(name is not None for name in rows.index.names) or type(rows.index).__name__ != "RangeIndex"
        )
        write_whole(self.csv, lambda to: rows.to_csv(to, index=has_labels))
        note(f"Written into {self.csv}.")


@dataclass(frozen=True)
class Files(TableFile):
    """The table of a verb and its figure as files."""

    png: Annotated[Path | None, _option("--png", "Also draw it into a PNG file.")] = None
    svg: Annotated[Path | None, _option("--svg", "Also draw it into an SVG file.")] = None

    @property
    def is_drawn(self) -> bool:
        """Whether a figure was asked for."""
        return self.png is not None or self.svg is not None

    def check(self) -> None:
        """See `TableFile.check`."""
        super().check()
        for path, ending in ((self.png, ".png"), (self.svg, ".svg")):
            if path is not None:
                from layerscope.plots.canvas import seaborn

                seaborn()
            _check(path, ending)

    def figure(self, plot: Callable[[], Axes]) -> None:
        """Draw once into whatever was asked for, and say where."""
        if not self.is_drawn:
            return
        from layerscope.plots.canvas import save

        ax = plot()
        for path in (self.png, self.svg):
            if path is not None:
                save(ax, path)
                note(f"Drawn into {path}.")


def _check(path: Path | None, ending: str) -> None:
    if path is None:
        return
    if path.suffix.lower() != ending:
        raise InputError(f"--{ending[1:]} writes a file that ends with {ending}; not {path}.")
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {path.parent}.")
