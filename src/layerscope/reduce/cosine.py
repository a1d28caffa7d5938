"""The cosine of vectors: higher is closer, at most 1; undefined (NaN) for a vector of zeros."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerscope.errors import InputError, brief
from layerscope.reduce.pooling import Array


def cosine(a: Array, b: Array) -> Array:
    """[row of a, row of b]: the cosine of every pair of rows of a [n, hidden] and b [m, hidden].

    A single vector [hidden] is taken as one row. Higher is closer, at most 1; NaN for a vector of zeros.

    Raises:
        InputError: what is given are no vectors, or of different widths.

    >>> import numpy as np
    >>> import layerscope as ls
    >>> ls.cosine(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([2.0, 0.0])).round(2)
    array([[1.  ],
           [0.71]])
    """
    a, b = np.atleast_2d(_numbers(a, "a")), np.atleast_2d(_numbers(b, "b"))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise InputError(
            f"a and b are vectors of one width; not of shapes {list(a.shape)} and {list(b.shape)}."
        )
    return np.asarray(np.clip(unit_length(a) @ unit_length(b).T, -1, 1))


def cosine_of_pairs(a: Array, b: Array) -> Array:
    """[…]: the cosine of each vector of a […, hidden] with the one at the same place of b."""
    return np.asarray(np.clip((unit_length(a) * unit_length(b)).sum(axis=-1), -1, 1))


def _numbers(given: Any, name: str) -> Array:
    try:
        found = np.asarray(given)
    except (TypeError, ValueError, RuntimeError):
        found = np.empty(0, dtype=object)
    if found.dtype.kind not in "fiu" or found.ndim == 0:
        raise InputError(f"{name} is a vector, or an array of vectors in its rows; not {brief(given)}.")
    return found if found.dtype.kind == "f" else found.astype(np.float64)


def unit_length(vectors: Array) -> Array:
    """Vectors […, hidden] divided by their length."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))
