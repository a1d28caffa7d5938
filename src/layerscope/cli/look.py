"""layerscope look TEXT."""

from __future__ import annotations

from typing import Annotated

import typer

from layerscope.cli.asked import Asked
from layerscope.cli.files import Files
from layerscope.cli.options import (
    Json,
    ModelOptions,
    Pair,
    SomeLayers,
    TextArgument,
    note_empty,
    read_text,
    with_options,
)
from layerscope.cli.output import show, show_json

NAME = "look"
EXAMPLES = """Examples:\n
  layerscope look "Then I tried to find some way of embracing my mother's ghost."\n
  layerscope look "The capital of France is" --model SmolLM2.gguf -k 10\n
  layerscope look "Paris is the [MASK] of France." --model google-bert/bert-base-uncased --layer 1,6,12"""


@with_options
def command(
    model: ModelOptions,
    asked: Asked,
    files: Files,
    text: TextArgument = None,
    pair: Pair = None,
    layer: SomeLayers = None,
    k: Annotated[int, typer.Option("-k", help="How many predictions to show.", min=1)] = 5,
    as_json: Json = False,
) -> None:
    """A first look at a text: tokens, strongest attention, vector lengths by layer, predictions."""
    files.check()
    model.check(layers=layer)
    given = read_text(text)
    loaded = model.load()
    from layerscope.analysis.look import look

    seen = look(loaded, given, pair, layers=layer, k=k)
    if not seen.predictions:
        why = seen.note or f"{seen.model} predicts nothing of this text."
        asked.refuse("k", why=f"where there are no predictions ({why.rstrip('.')})")
    files.figure(seen.plot)
    files.table(seen.table)
    note_empty(given, pair)
    if as_json:
        show_json(seen.to_dict())
        return
    from layerscope.view import terminal

    show(terminal.look(seen))
