"""What a sweep found: how well labels can be read off each feature, which is best, and which is worth it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerscope.arguments import checked
from layerscope.errors import InputError
from layerscope.probing.export import export, is_exportable
from layerscope.reduce.feature import Feature
from layerscope.reduce.pooling import Array
from layerscope.result import Result
from layerscope.shown import counted, last_part

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from layerscope.model import Model

# Of an interval, as is usual.
_CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Score:
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

    def __repr__(self) -> str:
        score = f"{self.score:.3f} ± {self.error:.3f}"
        return f"Score({str(self.feature)!r}: {score}, deepest layer {self.depth}, width {self.width})"

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


@dataclass(frozen=True, eq=False, repr=False)
class Sweep(Result):
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
        left_out: how many further ones had no vector (words without tokens, or whose tokens were cut).
        seconds: how long the pass and the probing took.
    """

    model: Model = field(repr=False)
    unit: str
    task: str
    scoring: str
    probe: str
    results: tuple[Score, ...]
    baseline: Array
    num_examples: int
    left_out: int
    seconds: dict[str, float]

    @property
    def best(self) -> Score:
        """The feature with the highest mean score; of equal ones the cheapest."""
        return max(self.results, key=lambda one: (one.score, -one.depth, -one.width))

    @property
    def cheapest(self) -> Score:
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

    @checked
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
            title=f"{last_part(self.model.name)}: {counted(self.num_examples, self.unit)}, {self.probe} probe",
            ylabel=f"{self.scoring}, with 95 % intervals",
            ax=ax,
        )

    @checked
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

    _calls = ".best, .cheapest, .table(), .plot(), .export(out)"

    def _holds(self) -> str:
        features, examples = counted(len(self.results), "feature"), counted(self.num_examples, self.unit)
        best = f"{self.best.feature}: {self.best.score:.3f} {self.scoring}"
        return f"{features} of {last_part(self.model.name)} on {examples}; best {best}"

    def _instead(self) -> str:
        known = [one for one in self.results if is_exportable(one.feature)]
        if is_exportable(self.best.feature) or not known:
            return ""
        other = max(known, key=lambda one: one.score)
        return (
            f" The best that it has modules for is {other.feature}, with {other.score:.3f} instead of "
            f"{self.best.score:.3f}: name that feature."
        )
