"""layerscope export OUT."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from layerscope.cli.files import home
from layerscope.cli.options import Json, ModelOptions, with_options
from layerscope.cli.output import note, show_json
from layerscope.errors import InputError

NAME = "export"
EXAMPLES = """Examples:\n
  layerscope export best --feature mean@4\n
  layerscope export wide --feature mean@-4:/concat --model sentence-transformers/all-MiniLM-L6-v2"""


@with_options
def command(
    model: ModelOptions,
    out: Annotated[
        Path | None,
        typer.Argument(
            help="The folder to write, which is not there yet.", callback=home, show_default=False
        ),
    ] = None,
    feature: Annotated[
        str,
        typer.Option("--feature", "-f", help="POOLING@LAYER or POOLING@LAYERS/COMBINE: one vector a text."),
    ] = "mean@-1",
    as_json: Json = False,
) -> None:
    """A feature as a sentence-transformers folder, without the layers that it does not need."""
    if out is None:
        raise InputError("Give the folder to write: layerscope export best --feature mean@4")
    model.check(features=[feature])
    from layerscope.probing.export import check_new, export

    check_new(out)
    made = export(model.load(), out, feature)
    if as_json:
        show_json({"folder": str(made), "feature": feature})
    else:
        note(f"sentence-transformers can load {made}.")
