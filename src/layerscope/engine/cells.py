"""The cells of feature columns for some texts: pooled, combined, by word or by token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from layerscope.engine.replicas import Replicas
from layerscope.engine.vectors import Asked, Passed, Vectors, nothing, vectors
from layerscope.errors import AlignmentError, InputError, ModelError
from layerscope.network.memory import Budget, kept_memory
from layerscope.reduce.feature import COMBINES, Feature
from layerscope.reduce.pooling import POOLER, WHOLE_TEXT, Array, pool
from layerscope.run import run_many
from layerscope.text.encode import encode
from layerscope.text.tokens import Tokens
from layerscope.trace import OF_WINDOWS

if TYPE_CHECKING:
    from layerscope.network.network import Network


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of one column for n texts.

    Attributes:
        values: float32 [text, width]; or, of "tokens" and "words", for each text [token or word, width], in
            which a word without tokens is NaN.
        empty: for texts that have none, by their number, why.
    """

    values: Array | list[Array]
    empty: dict[int, str]


def cells(
    replicas: Replicas,
    texts: Sequence[Tokens],
    features: Sequence[Feature],
    budget: Budget,
    passed: Passed = nothing,
) -> dict[str, Cells]:
    """The columns that features give for texts that are tokenised and fit, from one pass. See `vectors`."""
    model = replicas.model
    with kept_memory():
        brought = vectors(replicas, texts, Asked.by(features, model.num_layers), budget, passed)
    columns: dict[str, Cells] = {}
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


# Why a cell is empty whose numbers are none: said alike wherever vectors are handed out.
NOT_FINITE = "holds NaN or infinity, which the model gave"


def values(made: Mapping[str, Cells], where: str, start: int = 0) -> dict[str, Array | list[Array]]:
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


def _checked(cell: Cells) -> Cells:
    """The cells; those that hold NaN or infinity are empty."""
    broken = [number for number, own in enumerate(cell.values) if not _is_finite(own)]
    return Cells(cell.values, dict.fromkeys(broken, NOT_FINITE) | cell.empty) if broken else cell


def check_features(model: Network, features: Sequence[Feature]) -> None:
    """Raise unless the model and its tokenizer can give all of them, before anyone waits for it.

    Raises:
        InputError: no feature, a layer that the model does not have, the same column twice.
        ModelError: "cls" without a classification token, "pooler" without a trained pooler.
    """
    if not features:
        raise InputError("Name at least one feature, such as mean@-1.")
    names = [name for feature in features for name in feature.columns(model.num_layers)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"The features give the column {twice[0]} twice; name each layer once.")
    asked = {feature.pooling for feature in features}
    if POOLER in asked and (model.untrained_pooler or ("pooler_output", 0) not in model.sites()):
        run_many(model, ["a"])[0].pool(POOLER)  # says why there is none
    if "cls" in asked:
        tokens = next(iter(encode(model.vocabulary, ["a"])))
        pool("cls", np.zeros((len(tokens), 1), dtype=np.float32), tokens)


def _of_layer(pooling: str, layer: int, texts: Sequence[Tokens], brought: Vectors) -> Cells:
    """The cells of one strategy at one layer."""
    empty = {}
    if pooling in WHOLE_TEXT:
        what = "[CLS]" if pooling == "cls" else "pooler output"
        several = np.flatnonzero(brought.num_windows > 1)
        empty = {int(text): OF_WINDOWS.format(brought.num_windows[text], what) for text in several}
    if pooling == POOLER:
        assert brought.pooler is not None
        return Cells(brought.pooler, empty)
    if (layer, pooling) in brought.pooled:
        return Cells(brought.pooled[layer, pooling], empty)
    if pooling == "tokens":
        return Cells(brought.states[layer], empty)
    if pooling == "words":
        return _words(texts, brought.states[layer])
    pooled = [pool(pooling, own, one) for own, one in zip(brought.states[layer], texts, strict=True)]
    return Cells(np.stack(pooled).astype(np.float32), empty)


def _combined(by_layer: list[Cells], combine: Callable[[Array], Array]) -> Cells:
    """The cells of several layers as those of one column."""
    stacked = np.stack([np.asarray(one.values) for one in by_layer], axis=1)
    return Cells(np.stack([combine(layers) for layers in stacked]), by_layer[0].empty)


def _is_finite(values: Array) -> bool:
    return bool(np.isfinite(values).all())


def _words(texts: Sequence[Tokens], states: Sequence[Array]) -> Cells:
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
    return Cells(values, empty)


def word_means(tokens: Tokens, states: Array) -> Array:
    """float32 [word, hidden]: for each word the mean of its tokens' states; NaN where it has none."""
    means = np.full((len(tokens.words), states.shape[-1]), np.nan, dtype=np.float32)
    places = np.array([(span.start, span.stop) for span in tokens.word_spans], dtype=np.int64).reshape(-1, 2)
    there = np.flatnonzero(places[:, 1] > places[:, 0])
    if len(there):
        means[there] = _sums(states, places[there]) / np.diff(places[there]).astype(np.float32)
    return means


def _sums(states: Array, places: NDArray[np.int64]) -> Array:
    """The sums of states over ranges start:stop, none of them empty."""
    padded = np.concatenate([states, np.zeros_like(states[:1])])  # reduceat takes no index past the end
    return np.asarray(np.add.reduceat(padded, places.reshape(-1), axis=0)[::2])
