"""Sweep: which layer, which token? Every feature from one pass, a linear probe for each, and what it may be worth."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from layerscope.arguments import checked
from layerscope.engine.supported import check_features
from layerscope.errors import InputError, ModelError
from layerscope.probing.collected import collected
from layerscope.probing.labelled import labelled
from layerscope.probing.learning import baseline, check, scores, shuffled, untrained
from layerscope.probing.swept import Score, Sweep
from layerscope.probing.task import Task
from layerscope.progress import tracked
from layerscope.reduce.feature import Feature
from layerscope.reduce.pooling import POOLER

if TYPE_CHECKING:
    from layerscope.model import Model

# Each token, or way to put them together, at every layer; and four layers put together, where there are four.
_POOLINGS = ("cls", "mean", "max", "last")
_COMBINED = ("mean@-4:/mean", "max@-4:/max", "mean@-4:/concat")


@checked
def sweep(
    model: Model,
    texts: Any,
    labels: Sequence[Any] | str,
    features: Sequence[str | Feature] | str | None = None,
    *,
    groups: Sequence[Any] | str | None = None,
    task: str | None = None,
    cv: int = 5,
    scoring: str | None = None,
    probe: str = "ridge",
    text: str | None = None,
    pair: str | None = None,
    long: str = "window",
    seed: int = 0,
    progress: bool | None = None,
) -> Sweep:
    """Which layer, which token: how well a linear model reads labels off each feature, all from one pass.

    For each feature a regularised linear model is trained on all folds but one and tried on that one; the
    regularisation is chosen inside the training folds. Folds are stratified by class, and keep groups together.

    Args:
        model: any model.
        texts: texts, pairs as tuples, a table or files (see `open_corpus`); to predict something of words, a list
            of lists of words, or a .conllu file.
        labels: classes (text or whole numbers) or numbers, one a text; for words one list a text; or the name of
            the column that holds them ("upos", "xpos" or "relation" of a .conllu file).
        features: what to compare; if left out, cls, mean, max and last at all layers and four layers put together
            in four ways; of words, all layers.
        groups: one a text, or the name of a column: texts of one group are not divided between folds (several
            texts by one author). The words of a text are always a group.
        task: "classify" or "regress"; if left out, "regress" where all labels are numbers, and some no whole ones.
            Where such numbers are written as text, as in a CSV file, it has to be said.
        cv: how many folds.
        scoring: what a score is, as scikit-learn names it; "accuracy", or "r2" for numbers, if left out.
        probe: "ridge" (fast), or "logistic".
        text, pair: which columns hold the texts.
        long: what to do with texts longer than the context window: "window", "cut" or "error".
        seed: of the folds and of the shuffled labels.
        progress: show bars on stderr; if left out, when that is a terminal or a notebook.

    Raises:
        InputError: labels that do not fit, one class only, fewer examples of a class than folds, a missing label.
        ModelError: features that the model does not give.

    >>> import layerscope as ls
    >>> uses = ls.samples.table().query("word == 'bank'")
    >>> found = ls.sweep(ls.load(), uses, "sense", ["mean@all", "cls@-1"], text="text", cv=3)
    >>> found.table().shape
    (8, 8)
    """
    examples = labelled(model, texts, labels, groups, text, pair)
    asked = Task.of(examples.labels, examples.groups, name=task, cv=cv, scoring=scoring, seed=seed)
    chosen = _features(model, examples.unit, features)
    check(probe, asked, seed)
    start = time.perf_counter()
    with collected(model, examples, chosen, long, progress) as vectors:
        passed = time.perf_counter()
        used = vectors.used
        if not used.all():
            kept_groups = None if examples.groups is None else examples.groups[used]
            asked = Task.of(
                examples.labels[used], kept_groups, name=asked.name, cv=cv, scoring=scoring, seed=seed
            )
        control = shuffled(asked, seed)
        results = []
        columns = [(feature, name) for one in chosen for feature, name in _single(one, model.num_layers)]
        for feature, name in tracked(columns, "Probing", progress):
            own = vectors.vectors(name)
            results.append(
                Score(
                    feature=feature,
                    depth=max(feature.resolve(model.num_layers)),
                    width=own.shape[1],
                    scores=scores(untrained(probe, asked.name), own, asked.labels, asked),
                    shuffled=scores(untrained(probe, asked.name), own, control, asked),
                )
            )
        found = baseline(asked)
    return Sweep(
        model=model,
        unit=examples.unit,
        task=asked.name,
        scoring=asked.scoring,
        probe=probe,
        results=tuple(results),
        baseline=found,
        num_examples=int(used.sum()),
        left_out=int((~used).sum()),
        seconds={"pass": passed - start, "probing": time.perf_counter() - passed},
    )


def default_features(model: Model, unit: str) -> tuple[Feature, ...]:
    """What is compared if nothing is named: 4 poolings at every layer, and 4 ways to put four layers together.

    A tokenizer without [CLS] has three poolings, and a model of less than three blocks nothing to put together.
    """
    if unit == "word":
        return (Feature("words", "all"),)
    poolings = list(_POOLINGS)
    try:
        check_features(model, [Feature("cls", "0")])
    except ModelError:
        poolings.remove("cls")
    written = [f"{pooling}@all" for pooling in poolings]
    if model.num_layers >= 3:
        written += [*_COMBINED, f"{'cls' if 'cls' in poolings else 'last'}@-4:/concat"]
    return tuple(map(Feature.parse, written))


def _features(model: Model, unit: str, given: Sequence[str | Feature] | str | None) -> tuple[Feature, ...]:
    """What to compare, checked."""
    if given is None:
        return default_features(model, unit)
    listed = [given] if isinstance(given, str | Feature) else list(given)
    features = tuple(one if isinstance(one, Feature) else Feature.parse(one) for one in listed)
    for feature in features:
        if (feature.pooling == "words") != (unit == "word") or feature.pooling == "tokens":
            fitting = "words@LAYERS" if unit == "word" else "one vector a text, such as mean@all"
            raise InputError(f"The examples are {unit}s, so a feature is {fitting}; not {feature}.")
    check_features(model, features)
    return features


def _single(feature: Feature, num_layers: int) -> list[tuple[Feature, str]]:
    """The features of one column each that a feature stands for, and the names of their columns."""
    names = feature.columns(num_layers)
    if feature.combine is not None:
        return [(feature, names[0])]
    layers = feature.resolve(num_layers)
    if feature.pooling == POOLER:
        return [(feature, names[0])]
    return [(Feature(feature.pooling, str(layer)), name) for layer, name in zip(layers, names, strict=True)]
