"""Attention: how well queries and keys fit, as probabilities, and the values mixed by them (Vaswani et al. 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerscope.algebra.linear import Array
from layerscope.errors import InputError

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Attention:
    """The three stations of attention.

    Attributes:
        scores: […, query, key], −∞ where a query may not look.
        probabilities: […, query, key]; each row sums to 1.
        output: […, query, width], for each query the values, mixed.
    """

    scores: Array
    probabilities: Array
    output: Array


def scaled_dot_product_attention(
    queries: Array, keys: Array, values: Array, mask: Mask | None = None
) -> Attention:
    """Mix the values for each query by how well its key fits: softmax(q kᵀ / √width) v.

    Where keys and values are of another sequence than the queries, this is cross-attention.

    Args:
        queries: […, query, width].
        keys: […, key, width].
        values: […, key, width of the values].
        mask: bool [query, key], or with the same axes before; true where the query may look.

    >>> x = np.eye(3)
    >>> scaled_dot_product_attention(x[:1], x, x).output.round(2)
    array([[0.47, 0.26, 0.26]])
    """
    scores = attention_scores(queries, keys)
    if mask is not None:
        scores = masked(scores, mask)
    probabilities = softmax(scores)
    return Attention(scores, probabilities, probabilities @ values)


def attention_scores(queries: Array, keys: Array, scale: float | None = None) -> Array:
    """[…, query, key]: the dot product of each query with each key, times `scale`; 1/√width if left out.

    The longer the vectors, the more their products spread; divided by √width they do not.
    """
    width = queries.shape[-1]
    return np.asarray(
        queries @ np.swapaxes(keys, -1, -2) * (1 / math.sqrt(width) if scale is None else scale)
    )


def causal_mask(queries: int, keys: int) -> Mask:
    """bool [query, key]: each query may look at itself and at what came before, the lower triangle.

    >>> causal_mask(3, 3).astype(int)
    array([[1, 0, 0],
           [1, 1, 0],
           [1, 1, 1]])
    """
    return np.tril(np.ones((queries, keys), dtype=bool), k=0)


def masked(scores: Array, mask: Mask) -> Array:
    """Scores with −∞ where the mask is false, so that no probability goes there."""
    return np.where(mask, scores, np.array(-np.inf, dtype=scores.dtype))


def softmax(scores: Array) -> Array:
    """Scores as probabilities: each row (the last axis) positive, with sum 1.

    Raises:
        InputError: a row has no probabilities: all of it is masked, or it holds NaN or infinity.

    >>> softmax(np.array([1.0, 1.0, -np.inf]))
    array([0.5, 0.5, 0. ])
    """
    largest = scores.max(axis=-1, keepdims=True)
    if not np.isfinite(largest).all():
        raise InputError(
            "A row of scores has no probabilities: every key is masked, or a score is NaN or infinite. "
            "A mask is true where a query may look."
        )
    powers = np.exp(scores - largest)  # less the largest: the same shares, and no overflow
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
