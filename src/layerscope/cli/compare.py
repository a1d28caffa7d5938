"""layerscope compare A B."""

from __future__ import annotations

from typing import Annotated

import typer

from layerscope.cli.files import Files
from layerscope.cli.options import Json, ModelOptions, note_empty, with_options
from layerscope.cli.output import show, show_json

NAME = "compare"
EXAMPLES = """Examples:\n
  layerscope compare "President greets the press in Chicago" "Obama speaks to media in Illinois"\n
  layerscope compare "a river bank" "a savings bank" --layer 3 --json\n
  layerscope compare "a river bank" "a savings bank" --png bank.png"""


@with_options
def command(
    model: ModelOptions,
    files: Files,
    a: Annotated[str, typer.Argument(help="A text.")],
    b: Annotated[str, typer.Argument(help="The text to compare it with.")],
    layer: Annotated[int, typer.Option(help="Where to read the vectors; negative from the end.")] = -1,
    pooling: Annotated[
        str, typer.Option(help="How tokens become the vector of a text: mean, max, cls, last, …")
    ] = "mean",
    as_json: Json = False,
) -> None:
    """How alike two texts are, and their words: cosine similarity, higher is closer."""
    files.check()
    model.check(layers=layer, pooling=pooling)
    loaded = model.load()
    from layerscope.analysis.similarity import compare

    found = compare(loaded, a, b, layer=layer, pooling=pooling)
    files.figure(found.plot)
    files.table(found.table)
    note_empty(a, b)
    if as_json:
        show_json(found.to_dict())
        return
    from layerscope.view import terminal

    layer = found.texts.layer
    show(terminal.facts({"cosine of the texts": f"{found.cosine:.3f} (pooling {pooling}, layer {layer})"}))
    show(terminal.heading(f"Words (layer {layer})"))
    show(terminal.heat(found.words.table()))
