"""What is to be predicted: which class, or how much; and the folds in which it is tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import model_selection
from sklearn.metrics import get_scorer_names

from layerscope.errors import InputError, brief, unknown
from layerscope.reduce.pooling import Array
from layerscope.shown import counted

TASKS = ("classify", "regress")

# Of the scorings that scikit-learn knows, those that a message lists first.
_USUAL = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc_ovr", "r2", "neg_mean_absolute_error")


@dataclass(frozen=True, eq=False)
class Task:
    """Labels and how they are to be predicted.

    Attributes:
        name: "classify" or "regress".
        labels: [n], classes as text, or float64 numbers.
        groups: [n] or None.
        folds: (training, test) indices of each fold.
        scoring: what a score is, as scikit-learn names it.
    """

    name: str
    labels: Array
    groups: Array | None
    folds: list[tuple[Array, Array]]
    scoring: str

    @classmethod
    def of(
        cls,
        labels: Array,
        groups: Array | None,
        *,
        name: str | None = None,
        cv: int = 5,
        scoring: str | None = None,
        seed: int = 0,
    ) -> Task:
        """The task that labels [n] make: classes, or, if some of them are no whole numbers, a regression.

        Raises:
            InputError: one class only, or fewer examples of a class, or groups, than folds; an unknown scoring; labels
                that are text and could be numbers too.
        """
        numbers = _as_numbers(labels)
        if name is None:
            measured = labels[:0] if numbers is None else labels[numbers % 1 != 0]
            if len(measured) and labels.dtype.kind == "U":
                raise InputError(
                    f"The labels are numbers that are written as text, such as {str(measured[0])!r}: "
                    "say task='regress' to predict how much, or task='classify' to tell them apart as they are written."
                )
            name = "regress" if len(measured) else "classify"
        if name not in TASKS:
            raise unknown("task", name, TASKS)
        for what, given, least in (("cv", cv, 2), ("seed", seed, 0)):
            if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < least:
                raise InputError(f"{what} is a whole number, at least {least}; not {given!r}.")
        if seed >= 2**32:
            raise InputError(f"seed is a whole number below 2**32, {2**32:,}; not {brief(seed)}.")
        if name == "classify":
            labels = labels.astype(str)
        elif numbers is None:
            raise InputError("To regress, labels are numbers; some of these are not.")
        else:
            labels = numbers
        _check_enough(name, labels, groups, int(cv))
        scoring = scoring or ("accuracy" if name == "classify" else "r2")
        known = dict.fromkeys([*_USUAL, *get_scorer_names()])
        if scoring not in known:
            raise unknown("scoring", scoring, known)
        return cls(name, labels, groups, _folds(name, labels, groups, int(cv), int(seed)), scoring)


def _as_numbers(labels: Array) -> Array | None:
    """float64 [n], also of numbers that are written as text (files of text have no others); None if some are none."""
    try:
        numbers = labels.astype(np.float64)
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _check_enough(name: str, labels: Array, groups: Array | None, folds: int) -> None:
    values, counts = np.unique(labels, return_counts=True)
    if len(values) < 2:
        raise InputError(f"All {len(labels)} labels are {values[0]!s}: there is nothing to tell apart.")
    fewest = int(counts.min())
    if name == "classify" and fewest < folds:
        hint = (
            ""
            if _as_numbers(values) is None
            else " If the labels are numbers to predict, say task='regress'."
        )
        raise InputError(
            f"The class {str(values[counts.argmin()])!r} has {counted(fewest, 'example')}, fewer than the "
            f"{folds} folds; give a smaller cv=, or leave it out.{hint}"
        )
    if len(labels) < folds:
        raise InputError(f"There are {counted(len(labels), 'example')}, fewer than the {folds} folds.")
    if groups is not None and (count := len(np.unique(groups))) < folds:
        raise InputError(
            f"There are {counted(count, 'group')}, fewer than the {folds} folds; give a smaller cv=."
        )


def _folds(
    name: str, labels: Array, groups: Array | None, folds: int, seed: int
) -> list[tuple[Array, Array]]:
    stratified = "Stratified" if name == "classify" else ""
    grouped = "Group" if groups is not None else ""
    divide: Any = getattr(model_selection, f"{stratified}{grouped}KFold")
    found = list(divide(folds, shuffle=True, random_state=seed).split(labels, labels, groups))
    for train, _ in found:
        if len(np.unique(labels[train])) < 2:
            raise InputError(_one_label(labels, groups))
    return found


def _one_label(labels: Array, groups: Array | None) -> str:
    """Why what a fold learns from has one label only."""
    if groups is not None:
        why, hint = "The groups are too few to divide", "Give a smaller cv=, or finer groups"
    else:
        values, counts = np.unique(labels, return_counts=True)
        why = f"{counts.max()} of the {len(labels)} labels are {values[counts.argmax()]!s}"
        hint = "Give more examples of the others"
    return f"{why}: what one fold learns from has one label only. {hint}."
