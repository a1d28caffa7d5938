"""layerscope drift SOURCE…."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from layerscope.cli.asked import Asked
from layerscope.cli.corpora import CorpusOptions, Long, Sources
from layerscope.cli.files import Files
from layerscope.cli.options import Json, ModelOptions, with_options
from layerscope.cli.output import show, show_json
from layerscope.errors import InputError
from layerscope.shown import counted

if TYPE_CHECKING:
    from layerscope.analysis.drift import Drift

NAME = "drift"
EXAMPLES = """Examples:\n
  layerscope drift poems.jsonl --text text --id title --png drift.png\n
  layerscope drift novel.txt --segment paragraph --against previous\n
  layerscope drift reviews.csv --text review --sample 500 --pooling last --model SmolLM2.gguf --json"""


@with_options
def command(
    model: ModelOptions,
    corpus: CorpusOptions,
    asked: Asked,
    files: Files,
    source: Sources = None,
    id: Annotated[str | None, typer.Option("--id", help="A column that names the texts.")] = None,
    pooling: Annotated[str, typer.Option(help="How tokens become the vector of a text.")] = "mean",
    against: Annotated[
        str,
        typer.Option(help="What the figure compares with: static (layer 0) or previous (the layer before)."),
    ] = "static",
    long: Long = "window",
    as_json: Json = False,
) -> None:
    """How far texts move from their static embeddings, layer by layer."""
    if not source:
        raise InputError("Give what to read: layerscope drift poems.jsonl --text text")
    if not files.is_drawn:
        asked.refuse("against", why="without --png or --svg, since it says what to draw")
    files.check()
    model.check(pooling=pooling)
    texts = corpus.open(source, id=id)
    from layerscope.analysis.drift import AGAINST, drift
    from layerscope.errors import unknown

    if against not in AGAINST:
        raise unknown("side to compare with", against, AGAINST)
    found = drift(model.load(), texts, pooling, id=id, long=long)
    files.figure(lambda: found.plot(against=against))
    files.table(found.table)
    if as_json:
        show_json(found.to_dict())
        return
    from layerscope.view import terminal

    for side, title in AGAINST.items():
        show(terminal.heading(f"Cosine with {title}, {counted(len(found.names), 'text')}, {pooling} pooling"))
        show(terminal.frame(found.summary(side)))
        show(terminal.facts(_ends(found, side)))
    if found.pooler is not None:
        show(terminal.heading("[CLS]: cosine of the static embedding with the pooler output"))
        show(terminal.frame(found.pooler_summary()))


def _ends(found: Drift, side: str) -> dict[str, str]:
    """The texts that move most and least, by their names."""
    last = getattr(found, side)[:, -1]
    places = {"farthest at the last layer": last.argmin(), "nearest": last.argmax()}
    return {what: f"{found.names[place]} ({last[place]:.2f})" for what, place in places.items()}
