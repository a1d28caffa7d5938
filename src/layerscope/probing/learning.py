"""The linear models that read labels off vectors, by scikit-learn, and how well they do in each fold."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV, RidgeCV
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from layerscope.errors import InputError, unknown
from layerscope.probing.task import Task
from layerscope.reduce.pooling import Array

PROBES = ("ridge", "logistic")

# Of vectors whose dimensions have been standardised. Both are chosen among inside each training fold: the ridge's
# by its leave-one-out error, which one decomposition gives for all of them, the logistic model's in three folds.
_PENALTIES = np.logspace(-1, 5, 7)
_INVERSE_PENALTIES = np.logspace(-4, 0, 5)


def untrained(probe: str, task: str) -> Any:
    """An untrained linear model, with dimensions standardised and its regularisation chosen while it is trained.

    Args:
        probe: "ridge", least squares on the classes as ±1 (or on the numbers), which is fast for any number of
            classes; or "logistic", multinomial logistic regression, which is slower and often a little better.
        task: "classify" or "regress".

    Raises:
        InputError: no such model for this task.
    """
    if probe not in PROBES:
        raise unknown("probe", probe, PROBES)
    if probe == "logistic" and task == "regress":
        raise unknown("probe for numbers", probe, ("ridge",))
    if probe == "logistic":
        model = GridSearchCV(LogisticRegression(max_iter=1000), {"C": _INVERSE_PENALTIES}, cv=3)
    elif task == "classify":
        model = RidgeClassifierCV(_PENALTIES)
    else:
        model = RidgeCV(_PENALTIES)
    return make_pipeline(StandardScaler(), model)


def scores(model: Any, vectors: Array, labels: Array, task: Task) -> Array:
    """float64 [fold]: how well a model that is trained on the rest predicts each fold.

    Args:
        model: untrained.
        vectors: [n, width].
        labels: [n], the task's, or those of a control.
        task: the folds and what a score is.

    Raises:
        InputError: the model cannot learn these labels, or the score cannot be had of it; or it is undefined.
    """
    with warnings.catch_warnings():
        # Of a rare class a fold, or one inside it, may have no example to learn from: it costs what it costs. A
        # score that is undefined is said below.
        for message in (
            "The number of unique classes",
            "The least populated class",
            "R.2 score is not well-defined",
        ):
            warnings.filterwarnings("ignore", message=message, category=UserWarning)
        try:
            found = cross_val_score(
                model, vectors, labels, cv=task.folds, scoring=task.scoring, error_score="raise"
            )
        except (ValueError, AttributeError) as error:
            raise InputError(
                f"These labels cannot be learnt and scored by {task.scoring} in {len(task.folds)} folds: "
                f"{str(error).splitlines()[0].rstrip('.')}."
            ) from error
    if not np.isfinite(found).all():
        raise InputError(
            f"The score {task.scoring} is undefined (NaN) in a fold of {len(task.labels)} examples; give a smaller cv=."
        )
    return np.asarray(found, dtype=np.float64)


def baseline(task: Task) -> Array:
    """float64 [fold]: the score of always saying the most frequent class, or the mean."""
    is_class = task.name == "classify"
    model = DummyClassifier(strategy="most_frequent") if is_class else DummyRegressor()
    return scores(model, np.zeros((len(task.labels), 1), dtype=np.float32), task.labels, task)


def check(probe: str, task: Task, seed: int) -> None:
    """Raise at once, before anyone waits for the pass, what would be raised of any vectors. See `scores`."""
    noise = np.random.default_rng(seed).normal(size=(len(task.labels), 2)).astype(np.float32)
    for labels in (task.labels, shuffled(task, seed)):
        scores(untrained(probe, task.name), noise, labels, task)


def shuffled(task: Task, seed: int) -> Array:
    """[n], the labels in a random order: what a probe still gets right of these is chance or leakage."""
    return np.asarray(np.random.default_rng(seed).permutation(task.labels))
