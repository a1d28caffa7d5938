"""layerscope attention TEXT, and layerscope attention --treebank FILE."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerscope.cli.asked import Asked
from layerscope.cli.corpora import check_treebank
from layerscope.cli.figures import Png, Svg, check_figures, write_figures
from layerscope.cli.options import (
    Json,
    ModelOptions,
    TextArgument,
    note_empty,
    read_layers,
    read_text,
    with_model,
)
from layerscope.cli.output import note, show, show_json
from layerscope.errors import InputError
from layerscope.shown import counted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from layerscope.model import Model

NAME = "attention"
EXAMPLES = """Examples:\n
  layerscope attention "Then I tried to find some way of embracing my mother's ghost."\n
  layerscope attention "Almost before we knew it, we had left the ground." --layer 3 --png heads.png\n
  layerscope attention "Seeing is believing." --layers 1,6 --head 4 --unit token --specials\n
  layerscope attention "Seeing is believing." --heads --measure next --png next.png\n
  layerscope attention --treebank en_ewt-ud-dev.conllu --limit 500 --relation nsubj --png nsubj.png"""


@with_model
def command(
    model: ModelOptions,
    asked: Asked,
    text: TextArgument = None,
    layers: Annotated[
        str | None,
        typer.Option(help="Which to show: all, 8, -4:, or 1,6,12. First, middle and last if left out."),
    ] = None,
    head: Annotated[
        str, typer.Option(help="One head, from 0, or max or mean over all; a figure then shows that.")
    ] = "max",
    unit: Annotated[str, typer.Option(help="word, or token.")] = "word",
    specials: Annotated[bool, typer.Option("--specials", help="Let special tokens take part.")] = False,
    layer: Annotated[
        int | None, typer.Option(help="One layer to show, and to draw; a figure is else of the last.")
    ] = None,
    heads: Annotated[bool, typer.Option("--heads", help="How each head attends, on average.")] = False,
    measure: Annotated[
        str,
        typer.Option(
            help="With --heads, what to draw: entropy, distance, special, first, self, previous or next."
        ),
    ] = "entropy",
    treebank: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="In place of a text, CoNLL-U: which head finds which relation."),
    ] = None,
    relation: Annotated[
        str | None, typer.Option(help="With --treebank, show every head for this relation; or all.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="With --treebank, so many sentences at most.")] = None,
    png: Png = None,
    svg: Svg = None,
    as_json: Json = False,
) -> None:
    """What attends to what most; how each head attends; which head follows which dependency relation."""
    if treebank is not None and text is not None:
        raise InputError("Give a text or --treebank, not both.")
    if treebank is not None and heads:
        raise InputError("--heads is of a text; leave it out with --treebank.")
    if treebank is None and (relation is not None or limit is not None):
        raise InputError("--relation and --limit are for --treebank FILE.")
    is_drawn = png is not None or svg is not None
    _check_effect(asked, is_drawn, as_json)
    check_figures(png, svg)
    model.check(layers=read_layers(layers) if layer is None else layer)
    if treebank is not None:
        check_treebank(treebank)
        _search(model, treebank, relation, limit, png, svg, as_json)
        return
    given = read_text(text)
    if heads:
        _heads(model.load(), given, measure, layers, png, svg, as_json)
    else:
        layers = layers if layer is None else str(layer)
        drawn = head if "head" in asked.given else None
        _partners(model.load(), given, layers, head, unit, specials, drawn, png, svg, as_json)


def _check_effect(asked: Asked, is_drawn: bool, as_json: bool) -> None:
    """Refuse options that have no effect on what is asked for: heads that are measured, a treebank, or a text."""
    of_text = ("layer", "head", "unit", "specials")
    if "treebank" in asked.given:
        asked.refuse("layers", "measure", *of_text, why="with --treebank")
        if as_json and not is_drawn:
            asked.refuse("relation", why="with --json, which has every relation")
    elif "heads" in asked.given:
        asked.refuse(*of_text, why="with --heads")
        if not is_drawn:
            asked.refuse("measure", why="without --png or --svg, since it says what to draw")
    else:
        asked.refuse("measure", why="without --heads")
        if {"layer", "layers"} <= asked.given:
            raise InputError("Give --layer or --layers, not both.")


def _partners(
    model: Model,
    text: str,
    layers: str | None,
    head: str,
    unit: str,
    specials: bool,
    drawn: str | None,
    png: Path | None,
    svg: Path | None,
    as_json: bool,
) -> None:
    from layerscope.analysis.attention import attention, partners

    chosen = _layers(model, layers)
    if (png is not None or svg is not None) and layers is not None and len(chosen) > 1:
        raise InputError(f"A figure is of one layer, and --layers names {len(chosen)}: give --layer.")
    trace = model.run(text, attention=True, layers="all" if layers is None else chosen)
    which = _head(head)
    found = partners(trace, unit, which, specials)
    table = found.table()

    def draw() -> Axes:
        of_layer = attention(trace, chosen[-1], unit)
        return of_layer.plot() if drawn is None else of_layer.plot(head=_head(drawn))

    write_figures(draw, png, svg)
    note_empty(text)
    if as_json:
        show_json(found.to_dict())
        return
    from layerscope.view import terminal

    out = "" if specials else "; special tokens, and a decoder's first, left out"
    if not len(table):
        note("note: The text has too few words that attend to each other.")
        return
    over = f"head {which}" if isinstance(which, int) else f"{which} over the heads"
    show(terminal.heading(f"What each {unit} attends to most ({over}{out})"))
    show(terminal.frame(_side_by_side(table[table["layer"].isin(chosen)], unit)))


def _heads(
    model: Model,
    text: str,
    measure: str,
    layers: str | None,
    png: Path | None,
    svg: Path | None,
    as_json: bool,
) -> None:
    from layerscope.analysis.attention import heads
    from layerscope.errors import unknown
    from layerscope.reduce.heads import MEASURES

    if measure not in MEASURES:
        raise unknown("measure", measure, MEASURES)
    chosen = _layers(model, layers)
    found = heads(model, [text], progress=False)
    table = found.table()
    write_figures(lambda: found.plot(measure=measure), png, svg)
    shown = table[table["layer"].isin(chosen)]
    if as_json:
        named = {} if layers is None else {"heads": shown.to_dict("records")}
        show_json(found.to_dict() | named)
        return
    from layerscope.view import terminal

    show(
        terminal.heading(
            f"How each head attends, mean over {counted(found.queries, 'token')}, special ones left out"
        )
    )
    show(terminal.frame(shown.set_index(["layer", "head"])))


def _search(
    model: ModelOptions,
    treebank: Path,
    relation: str | None,
    limit: int | None,
    png: Path | None,
    svg: Path | None,
    as_json: bool,
) -> None:
    from layerscope.analysis.head_search import ALL, head_search

    found = head_search(model.load(), treebank, limit=limit)
    best = found.best(relation or ALL)
    write_figures(lambda: found.plot(relation=relation or ALL), png, svg)
    for one in found.notes:
        note(f"note: {one}")
    if as_json:
        show_json(found.to_dict())
        return
    from layerscope.view import terminal

    if relation is None:
        show(
            terminal.heading(
                f"The head that finds each relation best, {counted(found.sentences, 'sentence')}"
            )
        )
        show(terminal.frame(found.table().set_index("relation")))
        return
    show(
        terminal.heading(f"{relation}: share of {best['count']:,} dependents, attention {best['direction']}")
    )
    show(terminal.heat(found.accuracies(relation, best["direction"])))
    show(f"Always the word at {best['offset']:+d}: {best['baseline']:.3f}")


def _head(written: str) -> int | str:
    return int(written) if written.removeprefix("-").isdecimal() else written


def _layers(model: Model, written: str | None) -> tuple[int, ...]:
    """The layers to print, as written or the first, the middle and the last."""
    from layerscope.reduce.layers import resolve_layers

    count = model.num_layers
    given = read_layers(written)
    chosen = resolve_layers(given if given is not None else {1, (count + 1) // 2, count}, count)
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
