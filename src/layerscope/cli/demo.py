"""layerscope demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from layerscope.cli.options import Json, ModelOptions
from layerscope.cli.output import show, show_json, waiting

NAME = "demo"
EXAMPLES = """Examples:\n
  layerscope demo\n
  layerscope demo --out /tmp/demo"""


def command(
    as_json: Json = False,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write; made if need be.")] = Path(
        "demo"
    ),
) -> None:
    """Tables, figures and a feature file from the bundled model and samples: something to look at."""
    model = ModelOptions().load()
    from layerscope.demo import demo
    from layerscope.view import terminal

    with waiting("Running the samples …"):
        written = demo(model, out)
    if as_json:
        show_json(
            {"folder": str(out.resolve()), "files": {str(path): holds for path, holds in written.items()}}
        )
        return
    show(terminal.files(written, out))
