"""layerscope describe [MODEL]."""

from __future__ import annotations

from typing import Annotated

import typer

from layerscope.cli.asked import Asked
from layerscope.cli.files import Files
from layerscope.cli.options import Checkpoint, Json, ModelOptions, with_options
from layerscope.cli.output import show, show_json

NAME = "describe"
EXAMPLES = """Examples:\n
  layerscope describe\n
  layerscope describe google-bert/bert-base-uncased --json\n
  layerscope describe --parameters --csv parameters.csv"""


@with_options
def command(
    model: ModelOptions,
    asked: Asked,
    files: Files,
    checkpoint: Checkpoint = None,
    parameters: Annotated[
        bool, typer.Option("--parameters", help="Every parameter tensor by its name.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What a model is: its modules, parameters by component, tied weights, limits, and where it came from."""
    if as_json and files.csv is None:
        asked.refuse("parameters", why="with --json, which has every tensor")
    files.check()
    loaded = model.load(checkpoint)
    description = loaded.describe()
    files.figure(description.plot)
    files.table(description.parameters if parameters else description.table)
    if as_json:
        show_json(description.to_dict())
        return
    from layerscope.view import terminal

    show(terminal.frame(description.parameters()) if parameters else terminal.description(description))
