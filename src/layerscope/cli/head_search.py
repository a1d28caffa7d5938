"""layerscope head-search TREEBANK."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from layerscope.cli.asked import Asked
from layerscope.cli.corpora import check_treebank
from layerscope.cli.files import Files
from layerscope.cli.options import Json, ModelOptions, with_options
from layerscope.cli.output import note, show, show_json
from layerscope.errors import InputError
from layerscope.shown import counted

NAME = "head-search"
EXAMPLES = """Examples:\n
  layerscope head-search en_ewt-ud-dev.conllu\n
  layerscope head-search en_ewt-ud-dev.conllu --limit 500 --relation nsubj --png nsubj.png\n
  layerscope head-search en_ewt-ud-dev.conllu --csv relations.csv"""


@with_options
def command(
    model: ModelOptions,
    asked: Asked,
    files: Files,
    treebank: Annotated[
        Path | None, typer.Argument(help="A CoNLL-U file; - for stdin.", show_default=False)
    ] = None,
    relation: Annotated[
        str | None, typer.Option(help="Show, and draw, every head for this relation; all for all together.")
    ] = None,
    minimum: Annotated[int, typer.Option(help="How many dependents a relation must have.", min=1)] = 20,
    limit: Annotated[int | None, typer.Option(help="So many sentences at most, the first ones.")] = None,
    as_json: Json = False,
) -> None:
    """Which attention head follows which dependency relation of a treebank, and a baseline that guesses by distance."""
    if treebank is None:
        raise InputError("Give a treebank: layerscope head-search en_ewt-ud-dev.conllu")
    if as_json and not files.is_drawn:
        asked.refuse("relation", why="with --json, which has every relation")
    files.check()
    model.check()
    check_treebank(treebank)
    loaded = model.load()
    from layerscope.analysis.head_search import ALL, head_search

    found = head_search(loaded, treebank, minimum=minimum, limit=limit)
    best = found.best(relation or ALL)
    files.figure(lambda: found.plot(relation=relation or ALL))
    files.table(found.table)
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
