"""layerscope lens TEXT."""

from __future__ import annotations

from typing import Annotated

import typer

from layerscope.cli.asked import Asked
from layerscope.cli.files import Files
from layerscope.cli.options import Json, ModelOptions, Pair, TextArgument, note_empty, read_text, with_options
from layerscope.cli.output import show, show_json

NAME = "lens"
EXAMPLES = """Examples:\n
  layerscope lens "The capital of France is" --model SmolLM2.gguf --png lens.png\n
  layerscope lens "The capital of France is" --model SmolLM2.gguf --position -1 -k 10\n
  layerscope lens "Paris is the [MASK] of France." --model google-bert/bert-base-uncased\n
  layerscope lens "A house." --target "Ein Haus." --model google-t5/t5-small"""


@with_options
def command(
    model: ModelOptions,
    asked: Asked,
    files: Files,
    text: TextArgument = None,
    pair: Pair = None,
    target: Annotated[str | None, typer.Option(help="What an encoder-decoder's decoder is to read.")] = None,
    position: Annotated[
        int | None, typer.Option(help="Look at one position in detail, from 0; -1 is the last.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many tokens of each layer.", min=1)] = 5,
    as_json: Json = False,
) -> None:
    """What each layer would predict at each position (the logit lens)."""
    given = read_text(text)
    if files.is_drawn or as_json:
        asked.refuse("position", why="on a figure or --json, which have every position")
    if position is None and not as_json:
        asked.refuse("k", why="without --position or --json, since the grid shows one token of each layer")
    files.check()
    loaded = model.load()
    from layerscope.analysis.lens import lens

    found = lens(loaded, given, pair, target, k)
    if position is not None:
        found.table(position)  # raises before anything is drawn
    files.figure(found.plot)
    files.table(lambda: found.table(position))
    note_empty(given, pair)
    if as_json:
        show_json(found.to_dict())
        return
    from layerscope.view.lens import lens as grid
    from layerscope.view.lens import lens_at

    show(grid(found) if position is None else lens_at(found, position))
    show(
        "At the last layer these are the model's own predictions: the logits differ by at most "
        f"{found.difference:.1g}."
    )
