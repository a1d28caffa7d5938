"""From the states of tokens to the vectors of words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from layerscope.reduce.pooling import Array

if TYPE_CHECKING:
    from layerscope.text.tokens import Tokens


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
