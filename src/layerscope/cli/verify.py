"""layerscope verify [MODEL]."""

from __future__ import annotations

from typing import Annotated

import typer

from layerscope.cli.files import TableFile
from layerscope.cli.options import Checkpoint, Json, ModelOptions, with_options
from layerscope.cli.output import note, show, show_json, waiting

NAME = "verify"
EXAMPLES = """Examples:\n
  layerscope verify\n
  layerscope verify ./my-checkpoint --text "Any text of mine." --json"""


@with_options
def command(
    model: ModelOptions,
    files: TableFile,
    checkpoint: Checkpoint = None,
    text: Annotated[
        list[str] | None, typer.Option(help="A text to compare on, may be repeated; else the samples.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare every output with plain transformers, run now. Exit code 1 if one differs."""
    files.check()
    loaded = model.load(checkpoint)
    from layerscope.analysis.verify import verify

    with waiting("Running both …"):
        verification = verify(loaded, text)
    files.table(verification.table)
    if as_json:
        show_json(verification.to_dict())
    else:
        from layerscope.view import terminal

        show(terminal.verification(verification))
    for left_out in verification.left_out:
        note(f"left out: {left_out}")
    worst = max(verification.differences, key=lambda one: one.relative)
    verdict = "equals plain transformers" if verification.passed else "DIFFERS from plain transformers"
    note(f"{loaded.name} {verdict}: largest relative difference {worst.relative:.2e}, in {worst.output}.")
    if not verification.passed:
        raise typer.Exit(1)
