"""layerscope attention TEXT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from layerscope.cli.asked import Asked
from layerscope.cli.files import Files
from layerscope.cli.options import (
    Json,
    ModelOptions,
    SomeLayers,
    TextArgument,
    note_empty,
    read_text,
    with_options,
)
from layerscope.cli.output import note, show, show_json
from layerscope.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from layerscope.model import Model

NAME = "attention"
EXAMPLES = """Examples:\n
  layerscope attention "Then I tried to find some way of embracing my mother's ghost."\n
  layerscope attention "Almost before we knew it, we had left the ground." --layer 3 --png heads.png\n
  layerscope attention "Seeing is believing." --layer 1,6 --head 4 --unit token --specials\n
See also: layerscope heads, which measures every head, and layerscope head-search."""


@with_options
def command(
    model: ModelOptions,
    asked: Asked,
    files: Files,
    text: TextArgument = None,
    layer: SomeLayers = None,
    head: Annotated[
        str, typer.Option(help="One head, from 0, or max or mean over all; a figure then shows that.")
    ] = "max",
    unit: Annotated[str, typer.Option(help="word, or token.")] = "word",
    specials: Annotated[bool, typer.Option("--specials", help="Let special tokens take part.")] = False,
    as_json: Json = False,
) -> None:
    """What attends to what most, layer by layer; a figure shows every head of one layer, the last if left out."""
    files.check()
    model.check(layers=layer)
    given = read_text(text)
    loaded = model.load()
    from layerscope.analysis.attention import attention, partners

    chosen = attention_layers(loaded, layer)
    if files.is_drawn and layer is not None and len(chosen) > 1:
        raise InputError(f"A figure is of one layer, and --layer names {len(chosen)}: name one.")
    trace = loaded.run(given, attention=True, layers="all" if layer is None else chosen)
    which = int(head) if head.removeprefix("-").isdecimal() else head
    found = partners(trace, unit, which, specials)

    def draw() -> Axes:
        return attention(trace, chosen[-1], unit).plot(head=which if "head" in asked.given else None)

    files.figure(draw)
    files.table(found.table)
    note_empty(given)
    if as_json:
        show_json(found.to_dict())
        return
    from layerscope.reduce.attention import which_heads
    from layerscope.view import terminal

    table = found.table()
    out = "" if specials else "; special tokens, and a decoder's first, left out"
    if not len(table):
        note("note: The text has too few words that attend to each other.")
        return
    show(terminal.heading(f"What each {unit} attends to most ({which_heads(which)}{out})"))
    show(terminal.frame(_side_by_side(table[table["layer"].isin(chosen)], unit)))


def attention_layers(model: Model, written: str | None) -> tuple[int, ...]:
    """The blocks to show, as written or the first, the middle and the last."""
    from layerscope.reduce.layers import resolve_layers

    count = model.num_layers
    chosen = resolve_layers(written if written is not None else {1, (count + 1) // 2, count}, count)
    if max(chosen, default=0) == 0:
        raise InputError(
            f"Layer 0 is the embedding output and has no attention; blocks are layers 1 to {count}."
        )
    return chosen


def _side_by_side(table: pd.DataFrame, unit: str) -> pd.DataFrame:
    """A row a token or word, a column a layer."""
    from layerscope.shown import visible

    cells = table.assign(
        of=table["from"].map(visible),
        partner=[
            f"{visible(to)} {weight:.2f}" for to, weight in zip(table["to"], table["weight"], strict=True)
        ],
    )
    wide = cells.pivot(index=["position", "of"], columns="layer", values="partner")
    return wide.rename_axis(index=["position", unit]).rename(columns="layer {}".format)
