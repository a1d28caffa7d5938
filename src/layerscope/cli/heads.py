"""layerscope heads SOURCE…."""

from __future__ import annotations

from typing import Annotated

import typer

from layerscope.cli.asked import Asked
from layerscope.cli.attention import attention_layers
from layerscope.cli.corpora import CorpusOptions, Sources
from layerscope.cli.files import Files
from layerscope.cli.options import Json, ModelOptions, with_options
from layerscope.cli.output import show, show_json
from layerscope.errors import InputError
from layerscope.shown import counted

NAME = "heads"
EXAMPLES = """Examples:\n
  layerscope heads poems.txt --measure next --png next.png\n
  layerscope heads reviews.csv --text review --sample 200 --layer 1,6\n
  echo "Seeing is believing." | layerscope heads - --csv heads.csv"""


@with_options
def command(
    model: ModelOptions,
    corpus: CorpusOptions,
    asked: Asked,
    files: Files,
    source: Sources = None,
    layer: Annotated[
        str | None,
        typer.Option(help="Which to show: all, 8, -4:, or 1,6,12. All if left out.", show_default=False),
    ] = None,
    measure: Annotated[
        str,
        typer.Option(help="What to draw: entropy, distance, special, first, self, previous or next."),
    ] = "entropy",
    long: Annotated[
        str, typer.Option(help="Of texts that do not fit the context window: error, or cut.")
    ] = "error",
    as_json: Json = False,
) -> None:
    """How each head attends, on average over texts: spread or pointed, near or far, to special tokens, to neighbors."""
    if not source:
        raise InputError("Give what to read: layerscope heads poems.txt")
    if not files.is_drawn:
        asked.refuse("measure", why="without --png or --svg, since it says what to draw")
    files.check()
    model.check(layers=layer)
    texts = corpus.open(source)
    from layerscope.errors import unknown
    from layerscope.reduce.heads import MEASURES

    if measure not in MEASURES:
        raise unknown("measure", measure, MEASURES)
    loaded = model.load()
    from layerscope.analysis.attention import heads

    chosen = attention_layers(loaded, layer or "all")
    found = heads(loaded, texts, long=long)
    shown = found.table()
    shown = shown[shown["layer"].isin(chosen)]
    files.figure(lambda: found.plot(measure=measure))
    files.table(lambda: shown)
    if as_json:
        show_json(found.to_dict() | {"heads": shown.to_dict("records")})
        return
    from layerscope.view import terminal

    over = f"{counted(found.texts, 'text')}, {counted(found.queries, 'token')}"
    show(terminal.heading(f"How each head attends, mean over {over}, special ones left out"))
    show(terminal.frame(shown.set_index(["layer", "head"])))
