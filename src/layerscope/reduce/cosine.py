"""The cosine of vectors: higher is closer, at most 1; undefined (NaN) for a vector of zeros."""

from __future__ import annotations

import numpy as np

from layerscope.reduce.pooling import Array


def cosine(a: Array, b: Array) -> Array:
    """[row of a, row of b]: the cosine of every pair of rows of a [n, hidden] and b [m, hidden]."""
    return np.asarray(np.clip(unit_length(a) @ unit_length(b).T, -1, 1))


def cosine_of_pairs(a: Array, b: Array) -> Array:
    """[…]: the cosine of each vector of a […, hidden] with the one at the same place of b."""
    return np.asarray(np.clip((unit_length(a) * unit_length(b)).sum(axis=-1), -1, 1))


def unit_length(vectors: Array) -> Array:
    """Vectors […, hidden] divided by their length."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))
