"""Norms: each token's vector brought to the same length, on its own; no other token has a part in it."""

from __future__ import annotations

import numpy as np

from layerscope.algebra.linear import Array


def layer_norm(x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5) -> Array:
    """[…, width]: less its mean, divided by its standard deviation, times weight, plus bias (Ba et al. 2016).

    Args:
        x: […, width].
        weight, bias: [width].
        eps: added to the variance, so that it is never divided by 0.

    >>> layer_norm(np.array([1.0, 3.0]), eps=0)
    array([-1.,  1.])
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    if weight is not None:
        normed = normed * weight
    return np.asarray(normed if bias is None else normed + bias)


def rms_norm(x: Array, weight: Array | None = None, eps: float = 1e-6) -> Array:
    """[…, width]: divided by its root mean square, times weight; the mean stays (Zhang & Sennrich 2019).

    >>> rms_norm(np.array([1.0, 7.0]), eps=0)
    array([0.2, 1.4])
    """
    normed = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)
    return np.asarray(normed if weight is None else normed * weight)
