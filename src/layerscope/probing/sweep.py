"""Sweep: which layer, which token? Every feature from one pass, a linear probe for each, and what it may be worth."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerscope.errors import InputError, ModelError
from layerscope.extraction.cells import check_features
from layerscope.extraction.progress import tracked
from layerscope.probing.collected import collected
from layerscope.probing.export import export
from layerscope.probing.labelled import labelled
from layerscope.probing.learning import baseline, scores, shuffled, untrained
from layerscope.probing.task import Task
from layerscope.reduce.feature import Feature
from layerscope.reduce.pooling import POOLER, Array

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from layerscope.model import Model

# Each token, or way to put them together, at every layer; and four layers put together, where there are four.
_POOLINGS = ("cls", "mean", "max", "last")
_COMBINED = ("mean@-4:/mean", "max@-4:/max", "mean@-4:/concat")

# Of an interval, as is usual.
_CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Result:
    """How well labels can be read off one feature.

    Attributes:
        feature: one that gives a single column.
        depth: the deepest layer that it reads: how many blocks must run for it.
        width: of its vectors.
        scores: float64 [fold], on the examples that the fold left out.
        shuffled: float64 [fold], the same with the labels in a random order.
    """

    feature: Feature
    depth: int
    width: int
    scores: Array
    shuffled: Array

    @property
    def score(self) -> float:
        """The mean over the folds."""
        return float(self.scores.mean())

    @property
    def error(self) -> float:
        """The standard error of that mean, the folds taken as independent (they share training examples)."""
        return float(self.scores.std(ddof=1) / np.sqrt(len(self.scores)))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean, by Student's t over the folds."""
        from scipy.stats import t

        half = float(t.ppf((1 + _CONFIDENCE) / 2, len(self.scores) - 1)) * self.error
        return self.score - half, self.score + half


@dataclass(frozen=True, eq=False)
class Sweep:
    """How well labels can be read off every feature of a list.

    Attributes:
        model: the model.
        unit: what an example is, a "text" or a "word".
        task: "classify" or "regress".
        scoring: what a score is, as scikit-learn names it.
        probe: the linear model, "ridge" or "logistic".
        results: one a feature, in the order asked for.
        baseline: float64 [fold], the score of always saying the most frequent class, or the mean.
        num_examples: how many examples there were.
        left_out: how many further ones had no vector (words without tokens).
        seconds: how long the pass and the probing took.
    """

    model: Model = field(repr=False)
    unit: str
    task: str
    scoring: str
    probe: str
    results: tuple[Result, ...]
    baseline: Array
    num_examples: int
    left_out: int
    seconds: dict[str, float]

    @property
    def best(self) -> Result:
        """The feature with the highest mean score; of equal ones the cheapest."""
        return max(self.results, key=lambda one: (one.score, -one.depth, -one.width))

    @property
    def cheapest(self) -> Result:
        """The feature with the fewest layers to run (then the narrowest, then the best) within one standard error
        of the best (Breiman et al. 1984).
        """
        enough = self.best.score - self.best.error
        good = [one for one in self.results if one.score >= enough]
        return min(good, key=lambda one: (one.depth, one.width, -one.score))

    def table(self) -> pd.DataFrame:
        """One row a feature, best first: layers to run, width, score, its error and interval, shuffled, note."""
        import pandas as pd

        notes = {id(self.cheapest): "cheapest within one error of the best", id(self.best): "best"}
        if self.best is self.cheapest:
            notes[id(self.best)] = "best, and cheapest within one error"
        rows = sorted(self.results, key=lambda one: -one.score)
        return pd.DataFrame(
            {
                "layers": [one.depth for one in rows],
                "width": [one.width for one in rows],
                self.scoring: [one.score for one in rows],
                "error": [one.error for one in rows],
                "low": [one.interval[0] for one in rows],
                "high": [one.interval[1] for one in rows],
                "shuffled": [float(one.shuffled.mean()) for one in rows],
                "note": [notes.get(id(one), "") for one in rows],
            },
            index=pd.Index([str(one.feature) for one in rows], name="feature"),
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "model": self.model.name,
            "unit": self.unit,
            "task": self.task,
            "scoring": self.scoring,
            "probe": self.probe,
            "examples": self.num_examples,
            "left_out": self.left_out,
            "baseline": self.baseline.tolist(),
            "best": str(self.best.feature),
            "cheapest": str(self.cheapest.feature),
            "features": [
                {
                    "feature": str(one.feature),
                    "layers": one.depth,
                    "width": one.width,
                    "score": one.score,
                    "error": one.error,
                    "interval": list(one.interval),
                    "scores": one.scores.tolist(),
                    "shuffled": one.shuffled.tolist(),
                }
                for one in self.results
            ],
            "seconds": self.seconds,
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """The scores by layer, a line for each way to put tokens together, with their intervals; several layers
        put together are points above the deepest; dashed the baseline, dotted the highest score of shuffled labels.
        """
        import pandas as pd

        from layerscope.plots.sweep import sweep_curves

        rows = pd.DataFrame(
            [(one.depth, one.score, *one.interval) for one in self.results],
            columns=["layer", "score", "low", "high"],
            index=[str(one.feature) for one in self.results],
        )
        poolings = np.array([one.feature.pooling for one in self.results])
        is_single = np.array([one.feature.combine is None for one in self.results])
        return sweep_curves(
            {
                pooling: rows[is_single & (poolings == pooling)].set_index("layer").sort_index()
                for pooling in dict.fromkeys(poolings[is_single])
            },
            rows[~is_single],
            levels={
                "baseline": float(self.baseline.mean()),
                "shuffled": max(float(one.shuffled.mean()) for one in self.results),
            },
            title=f"{self.model.name}: {self.num_examples:,} {self.unit}s, {self.probe} probe",
            ylabel=f"{self.scoring}, with 95 % intervals",
            ax=ax,
        )

    def export(self, out: str | Path, feature: str | Feature | None = None) -> Path:
        """Write a feature as a sentence-transformers folder. See `probing.export.export`.

        Args:
            out: a folder that is not there yet, or is empty.
            feature: which; the best if left out.

        Raises:
            InputError: sentence-transformers has no modules for the feature; the message names the best that it has.
        """
        if self.unit != "text":
            raise InputError("sentence-transformers gives vectors of texts; this sweep is of words.")
        chosen = self.best.feature if feature is None else feature
        try:
            return export(self.model, out, chosen)
        except InputError as error:
            raise InputError(f"{error}{self._instead()}" if feature is None else str(error)) from error

    def _instead(self) -> str:
        from layerscope.probing.export import is_exportable

        known = [one for one in self.results if is_exportable(one.feature)]
        if is_exportable(self.best.feature) or not known:
            return ""
        other = max(known, key=lambda one: one.score)
        return (
            f" The best that it has modules for is {other.feature}, with {other.score:.3f} instead of "
            f"{self.best.score:.3f}: export(out, {str(other.feature)!r})."
        )


def sweep(
    model: Model,
    texts: Any,
    labels: Sequence[Any] | str,
    features: Sequence[str | Feature] | str | None = None,
    *,
    groups: Sequence[Any] | str | None = None,
    task: str | None = None,
    folds: int = 5,
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
        texts: texts, a table or files (see `open_corpus`); to predict something of words, lists of words, or a
            .conllu file.
        labels: classes (text or whole numbers) or numbers, one a text; for words one list a text; or the name of
            the column that holds them ("upos", "xpos" or "relation" of a .conllu file).
        features: what to compare; if left out, cls, mean, max and last at all layers and four layers put together
            in four ways; of words, all layers.
        groups: one a text, or the name of a column: texts of one group are not divided between folds (several
            texts by one author). The words of a text are always a group.
        task: "classify" or "regress"; if left out, "regress" where some labels are no whole numbers.
        folds: how many.
        scoring: what a score is, as scikit-learn names it; "accuracy", or "r2" for numbers, if left out.
        probe: "ridge" (fast), or "logistic".
        text, pair: which columns hold the texts.
        long: what to do with texts longer than the context window: "window", "cut" or "error".
        seed: of the folds and of the shuffled labels.
        progress: show bars on stderr; if left out, when that is a terminal.

    Raises:
        InputError: labels that do not fit, one class only, fewer examples of a class than folds, a missing label.
        ModelError: features that the model does not give.
        MissingExtraError: scikit-learn is not installed.

    >>> import layerscope as ls
    >>> texts = ls.samples.texts("bank") * 3
    >>> labels = ["long" if len(text) > 35 else "short" for text in texts]
    >>> found = ls.sweep(ls.load(), texts, labels, ["mean@all", "cls@-1"], folds=2)
    >>> found.table().shape
    (8, 8)
    """
    examples = labelled(model, texts, labels, groups, text, pair)
    asked = Task.of(examples.labels, examples.groups, name=task, folds=folds, scoring=scoring, seed=seed)
    untrained(probe, asked.name)  # so that what cannot be is said before anyone waits
    chosen = _features(model, examples.unit, features)
    start = time.perf_counter()
    with collected(model, examples, chosen, long, progress) as vectors:
        passed = time.perf_counter()
        used = vectors.used
        if not used.all():
            kept_groups = None if examples.groups is None else examples.groups[used]
            asked = Task.of(
                examples.labels[used], kept_groups, name=asked.name, folds=folds, scoring=scoring, seed=seed
            )
        control = shuffled(asked, seed)
        results = []
        columns = [(feature, name) for one in chosen for feature, name in _single(one, model.num_layers)]
        for feature, name in tracked(columns, "Probing", progress):
            own = vectors.vectors(name)
            results.append(
                Result(
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
