"""The nearest vectors to a query so far, by cosine: blocks are taken in one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerscope.reduce.pooling import Array

# Vectors that are compared at once, and cosines that are held at once.
_VECTORS, _COSINES = 1 << 14, 1 << 22

# More than a cosine computed in float32 is ever off; what is within it is computed anew in float64.
_MARGIN = 1e-4


class Nearest:
    """The nearest so far to one query [width], of length 1.

    Attributes:
        query: float64 [width].
        scores: float64 [found], the highest first.
        places: int64 [found, 2], in the order of scores: where they are.
    """

    def __init__(self, query: Array, k: int) -> None:
        self.query = query
        self.scores: NDArray[np.float64] = np.empty(0)
        self.places: NDArray[np.int64] = np.empty((0, 2), dtype=np.int64)
        self._k = k

    def add(self, cosines: Array, stored: Array, places: NDArray[np.int64]) -> None:
        """Take in a block [vector, width] with its cosines in float32; it stands behind those before it.

        The same vector has the same score wherever it stands, so that what is equally near stays in order.
        """
        least = -np.inf if len(self.scores) < self._k else float(self.scores[-1])
        if len(cosines) > self._k:
            least = max(least, float(np.partition(cosines, -self._k)[-self._k]))
        near = np.flatnonzero(cosines >= least - _MARGIN)
        exact = np.clip((unit(stored[near], np.float64)[0] * self.query).sum(axis=1), -1, 1)
        scores = np.concatenate([self.scores, exact])
        order = np.argsort(-scores, kind="stable")[: self._k]
        self.scores = scores[order]
        self.places = np.concatenate([self.places, places[near]])[order]


def take_in(nearest: Sequence[Nearest], stored: Array, places: NDArray[np.int64]) -> int:
    """Compare vectors [n, width] with every query; places [n, 2] say where they are.

    Returns:
        how many were left out, since they are near to nothing: zeros, and what holds NaN or infinity.
    """
    left_out = 0
    queries = np.stack([one.query for one in nearest]).astype(np.float32)
    step = max(1, min(_VECTORS, _COSINES // len(queries)))
    for start in range(0, len(stored), step):
        block = slice(start, start + step)
        scaled, lengths = unit(stored[block], np.float32)
        there = np.flatnonzero(lengths)
        left_out += len(lengths) - len(there)
        cosines = queries @ scaled[there].T
        for one, own in zip(nearest, cosines, strict=True):
            one.add(own, stored[block][there], places[block][there])
    return left_out


def unit(vectors: Array, dtype: Any) -> tuple[Array, Array]:
    """Vectors [n, width] at length 1, and [n] their largest number: 0 for zeros, and for NaN and infinity."""
    values = vectors.astype(dtype)
    largest = np.abs(values).max(axis=1)  # divided by it first, so that no square is too large or too small
    largest[~np.isfinite(largest)] = 0
    with np.errstate(invalid="ignore", divide="ignore"):
        values /= largest[:, None]
        values /= np.linalg.norm(values, axis=1, keepdims=True)
    return values, largest
