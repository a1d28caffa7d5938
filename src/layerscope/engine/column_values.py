"""The values of feature columns for some texts: pooled, combined, by word or by token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from layerscope.engine.replicas import Replicas
from layerscope.engine.vectors import Asked, Passed, Vectors, nothing, vectors
from layerscope.errors import AlignmentError, InputError, ModelError
from layerscope.network.memory import Budget, kept_memory
from layerscope.reduce.feature import COMBINES, Feature
from layerscope.reduce.pooling import POOLER, WHOLE_TEXT, Array, pool
from layerscope.reduce.words import word_means
from layerscope.text.tokens import Tokens
from layerscope.trace import OF_WINDOWS


@dataclass(frozen=True, eq=False)
class ColumnValues:
    """The values of one column for n texts.

    Attributes:
        values: float32 [text, width]; or, of "tokens" and "words", for each text [token or word, width], in
            which a word without tokens is NaN.
        empty: for texts that have none, by their number, why.
    """

    values: Array | list[Array]
    empty: dict[int, str]


def column_values(
    replicas: Replicas,
    texts: Sequence[Tokens],
    features: Sequence[Feature],
    budget: Budget,
    passed: Passed = nothing,
) -> dict[str, ColumnValues]:
    """The columns that features give for texts that are tokenised and fit, from one pass. See `vectors`."""
    model = replicas.model
    with kept_memory():
        brought = vectors(replicas, texts, Asked.by(features, model.num_layers), budget, passed)
    columns: dict[str, ColumnValues] = {}
    for feature in features:
        layers = feature.resolve(model.num_layers)
        names = feature.columns(model.num_layers)
        by_layer = [_of_layer(feature.pooling, layer, texts, brought) for layer in layers]
        if feature.combine is not None:
            by_layer = [_combined(by_layer, COMBINES[feature.combine])]
        if feature.pooling != "words":  # where a word without tokens is rightly NaN
            by_layer = [_checked(one) for one in by_layer]
        columns |= dict(zip(names, by_layer, strict=True))
    return columns


# Why a value is left empty that holds no numbers: said alike wherever vectors are handed out.
NOT_FINITE = "holds NaN or infinity, which the model gave"


def values(made: Mapping[str, ColumnValues], where: str, start: int = 0) -> dict[str, Array | list[Array]]:
    """The values of columns, by name, where every row must have them.

    Raises:
        InputError: a row has none; the message says which row of `where`, counted from `start`, and why.
        ModelError: a row's holds NaN or infinity.
    """
    for name, cell in made.items():
        for number, why in sorted(cell.empty.items()):
            error = ModelError if why == NOT_FINITE else InputError
            raise error(f"Row {start + number} of the {where}: {name}: {why}")
    return {name: cell.values for name, cell in made.items()}


def _checked(cell: ColumnValues) -> ColumnValues:
    """The values; those that hold NaN or infinity are empty."""
    broken = [number for number, own in enumerate(cell.values) if not _is_finite(own)]
    return ColumnValues(cell.values, dict.fromkeys(broken, NOT_FINITE) | cell.empty) if broken else cell


def _of_layer(pooling: str, layer: int, texts: Sequence[Tokens], brought: Vectors) -> ColumnValues:
    """The values of one strategy at one layer."""
    empty = {}
    if pooling in WHOLE_TEXT:
        what = "[CLS]" if pooling == "cls" else "pooler output"
        several = np.flatnonzero(brought.num_windows > 1)
        empty = {int(text): OF_WINDOWS.format(brought.num_windows[text], what) for text in several}
    if pooling == POOLER:
        assert brought.pooler is not None
        return ColumnValues(brought.pooler, empty)
    if (layer, pooling) in brought.pooled:
        return ColumnValues(brought.pooled[layer, pooling], empty)
    if pooling == "tokens":
        return ColumnValues(brought.states[layer], empty)
    if pooling == "words":
        return _words(texts, brought.states[layer])
    pooled = [pool(pooling, own, one) for own, one in zip(brought.states[layer], texts, strict=True)]
    return ColumnValues(np.stack(pooled).astype(np.float32), empty)


def _combined(by_layer: list[ColumnValues], combine: Callable[[Array], Array]) -> ColumnValues:
    """The values of several layers as those of one column."""
    stacked = np.stack([np.asarray(one.values) for one in by_layer], axis=1)
    return ColumnValues(np.stack([combine(layers) for layers in stacked]), by_layer[0].empty)


def _is_finite(values: Array) -> bool:
    return bool(np.isfinite(values).all())


def _words(texts: Sequence[Tokens], states: Sequence[Array]) -> ColumnValues:
    values: list[Array] = []
    empty = {}
    for number, (tokens, own) in enumerate(zip(texts, states, strict=True)):
        try:
            values.append(word_means(tokens, own))
            if not _is_finite(values[-1][[len(span) > 0 for span in tokens.word_spans]]):
                empty[number] = NOT_FINITE
        except AlignmentError as error:
            values.append(np.empty((0, own.shape[-1]), dtype=np.float32))
            empty[number] = str(error)
    return ColumnValues(values, empty)
