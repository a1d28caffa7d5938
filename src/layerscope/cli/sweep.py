"""layerscope sweep SOURCE… --label COLUMN."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerscope.cli.corpora import Feature, Long, PairColumn, Sources, Text, check_corpus, check_treebank
from layerscope.cli.figures import Png, Svg, check_figures, write_figures
from layerscope.cli.options import Json, ModelOptions, with_model
from layerscope.cli.output import note, show, show_json
from layerscope.errors import InputError
from layerscope.shown import counted

if TYPE_CHECKING:
    from layerscope.probing.swept import Sweep

NAME = "sweep"
EXAMPLES = """Examples:\n
  layerscope sweep train.csv --text text --label category --png sweep.png\n
  layerscope sweep reviews.csv --text review --label stars --task regress --group author -f mean@all -f last@all\n
  layerscope sweep en_ewt-ud-dev.conllu --label upos\n
  layerscope sweep train.csv --text text --label category -f mean@all --export best"""


@with_model
def command(
    model: ModelOptions,
    source: Sources = None,
    label: Annotated[
        str | None, typer.Option(help="The column of labels; upos, xpos or relation of a .conllu file.")
    ] = None,
    text: Text = None,
    pair: PairColumn = None,
    feature: Feature = None,
    group: Annotated[
        str | None, typer.Option(help="A column: rows with the same value are not divided between folds.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="classify or regress; by the labels if left out.")] = None,
    cv: Annotated[int, typer.Option(help="How many folds to try each feature on.")] = 5,
    scoring: Annotated[
        str | None, typer.Option(help="As scikit-learn names it: accuracy, f1_macro, r2, …")
    ] = None,
    probe: Annotated[str, typer.Option(help="ridge (fast) or logistic.")] = "ridge",
    long: Long = "window",
    seed: Annotated[int, typer.Option(help="Of the folds and the shuffled labels.")] = 0,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT", help="Write the best as a sentence-transformers folder, cut to its layers."
        ),
    ] = None,
    png: Png = None,
    svg: Svg = None,
    as_json: Json = False,
) -> None:
    """Which layer, which token: how well labels can be read off each feature."""
    if not source or label is None:
        raise InputError(
            "Give what to read, and its labels: layerscope sweep train.csv --text text --label category"
        )
    check_figures(png, svg)
    is_treebank = len(source) == 1 and source[0].endswith(".conllu")
    model.check(features=feature or ())
    if is_treebank:
        check_treebank(source[0])
    else:
        check_corpus(source, text=text, pair=pair, keep=[label] if group is None else [label, group])
    from layerscope.corpus.files import Files
    from layerscope.probing.export import check_new
    from layerscope.probing.sweep import sweep

    if export is not None:
        check_new(export)
        if is_treebank:
            raise InputError("sentence-transformers gives vectors of texts; a treebank's examples are words.")
    found = sweep(
        model.load(),
        source[0] if is_treebank else Files(tuple(source)),
        label,
        feature,
        groups=group,
        task=task,
        cv=cv,
        scoring=scoring,
        probe=probe,
        text=text,
        pair=pair,
        long=long,
        seed=seed,
    )
    write_figures(found.plot, png, svg)
    if as_json:
        show_json(found.to_dict())
    else:
        _print(found)
    if export is not None:
        note(f"sentence-transformers can load {found.export(export)}.")


def _print(found: Sweep) -> None:
    from layerscope.view import terminal

    folds = len(found.baseline)
    show(
        terminal.heading(
            f"{found.scoring} of a {found.probe} probe, {folds} folds, {counted(found.num_examples, found.unit)}"
        )
    )
    show(terminal.frame(found.table()))
    facts: dict[str, Any] = {
        "best": found.best.feature,
        "cheapest": f"{found.cheapest.feature} (the fewest layers within one standard error of the best)",
        "baseline": f"{found.baseline.mean():.3f} (the most frequent label, or the mean)",
    }
    if found.left_out:
        facts["left out"] = (
            f"{counted(found.left_out, found.unit)}: the tokenizer drops them, or they were cut"
        )
    facts["seconds"] = (
        f"{found.seconds['pass']:.0f} for the pass, {found.seconds['probing']:.0f} for the probes"
    )
    show(terminal.facts(facts))
