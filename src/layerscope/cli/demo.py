"""layerscope demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from layerscope.cli.files import home
from layerscope.cli.options import Json, ModelOptions
from layerscope.cli.output import note, show, show_json, waiting
from layerscope.errors import MissingExtraError

NAME = "demo"
EXAMPLES = """Examples:\n
  layerscope demo\n
  layerscope demo --out /tmp/demo"""


def command(
    as_json: Json = False,
    out: Annotated[
        Path, typer.Option("--out", "-o", callback=home, help="The folder to write; made if need be.")
    ] = Path("demo"),
) -> None:
    """Tables, figures and a feature file from the bundled model and samples: something to look at."""
    model = ModelOptions().load()
    from layerscope.demo import demo
    from layerscope.plots.canvas import seaborn
    from layerscope.view import terminal

    try:
        seaborn()
        lacking = None
    except MissingExtraError as error:
        lacking = error
    with waiting("Running the samples …"):
        written = demo(model, out, figure=lacking is None)
    if lacking is not None:
        note(f"note: No figure. {lacking}")
    if as_json:
        show_json(
            {"folder": str(out.resolve()), "files": {str(path): holds for path, holds in written.items()}}
        )
        return
    show(terminal.files(written, out))
