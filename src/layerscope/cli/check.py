"""layerscope check FOLDER."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from layerscope.cli.options import Json, with_options
from layerscope.cli.output import note, show_json
from layerscope.errors import InputError

if TYPE_CHECKING:
    from layerscope.store.check import Check

NAME = "check"
EXAMPLES = """Examples:\n
  layerscope check features\n
  layerscope check features --repair\n
Exit code 1: something was found."""


@with_options
def command(
    folder: Annotated[
        str | None,
        typer.Argument(help="The folder that extract wrote to, or its address.", show_default=False),
    ] = None,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Forget the damaged parts; the command that made them then makes them again.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Is every row of a folder of features there, and every part as it was written? Nothing is changed."""
    if folder is None:
        raise InputError("Give a folder of features: layerscope check features")
    from layerscope.store import check as checks

    found = checks.repair(folder) if repair else checks.check(folder)
    if as_json:
        show_json(found.to_dict())
    for line in _findings(found, is_repaired=repair):
        note(line)
    if not found.passed:
        raise typer.Exit(1)


def _findings(found: Check, is_repaired: bool) -> Iterator[str]:
    damaged = ", ".join(f"{file} (rows {first} to {last})" for file, (first, last) in found.damaged.items())
    if damaged and is_repaired:
        yield f"Forgotten: {damaged}. The command that made them makes them again."
    elif damaged:
        yield f"Damaged or gone: {damaged}. --repair forgets them, so that the command that made them makes them again."
    for first, last in found.missing:
        yield f"Rows {first} to {last} are missing. The command that began the folder makes them."
    if not found.complete:
        yield "Unfinished: the corpus was not read to its end. The command that began the folder goes on."
    if found.passed:
        repaired = " Nothing had to be forgotten." if is_repaired else ""
        yield f"Every row is there, and every part is as it was written.{repaired}"
