"""layerscope sweep SOURCE… --label COLUMN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerscope.cli.asked import Asked
from layerscope.cli.corpora import CorpusOptions, Feature, Long, PairColumn, Sources, check_treebank
from layerscope.cli.files import Files
from layerscope.cli.options import Json, ModelOptions, with_options
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
  layerscope sweep train.csv --text text --label category -f mean@all --sample 1000 --csv scores.csv"""


@with_options
def command(
    model: ModelOptions,
    corpus: CorpusOptions,
    asked: Asked,
    files: Files,
    source: Sources = None,
    label: Annotated[
        str | None, typer.Option(help="The column of labels; upos, xpos or relation of a .conllu file.")
    ] = None,
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
    as_json: Json = False,
) -> None:
    """Which layer, which token: how well labels can be read off each feature."""
    if not source or label is None:
        raise InputError(
            "Give what to read, and its labels: layerscope sweep train.csv --text text --label category"
        )
    files.check()
    is_treebank = len(source) == 1 and source[0].endswith(".conllu")
    model.check(features=feature or ())
    if is_treebank:
        why = "on a treebank, of which every word is read"
        asked.refuse("text", "pair", "segment", "limit", "sample", why=why)
        check_treebank(source[0])
        texts: Any = source[0]
    else:
        texts = corpus.open(source, pair=pair, keep=list(dict.fromkeys([label, *([group] if group else [])])))
    from layerscope.probing.sweep import sweep

    found = sweep(
        model.load(),
        texts,
        label,
        feature,
        groups=group,
        task=task,
        cv=cv,
        scoring=scoring,
        probe=probe,
        long=long,
        seed=seed,
    )
    files.figure(found.plot)
    files.table(found.table)
    if as_json:
        show_json(found.to_dict())
    else:
        _print(found)
    if found.unit == "text" and not as_json:
        note(f"For sentence-transformers: layerscope export OUT --feature {found.best.feature}")


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
