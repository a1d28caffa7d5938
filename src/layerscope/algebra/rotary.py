"""Rotary position embedding: queries and keys turned by position, so that scores see distances (Su et al. 2021)."""

from __future__ import annotations

import numpy as np

from layerscope.algebra.linear import Array


def rotary_angles(positions: Array, width: int, base: float = 10_000.0) -> Array:
    """[token, width]: how far each pair of columns is turned, in radians; the first fast, the last slowly.

    Column i and column i + width/2 are a pair and have the same angle, position / base^(2i/width).

    >>> rotary_angles(np.arange(2), 4).round(2)
    array([[0.  , 0.  , 0.  , 0.  ],
           [1.  , 0.01, 1.  , 0.01]])
    """
    speeds = base ** (-np.arange(0, width, 2) / width)
    angles = np.asarray(positions)[:, None] * speeds
    return np.concatenate([angles, angles], axis=-1)


def rotate(x: Array, cos: Array, sin: Array) -> Array:
    """[head, token, width]: each pair of columns turned by its angle; lengths stay as they are.

    Args:
        x: [head, token, width].
        cos, sin: [token, turned], of the angles; where `turned` is less than `width`, the last columns stay.

    >>> angles = rotary_angles(np.array([0, 1]), 2)
    >>> rotate(np.array([[[1.0, 0.0], [1.0, 0.0]]]), np.cos(angles), np.sin(angles)).round(2)
    array([[[1.  , 0.  ],
            [0.54, 0.84]]])
    """
    turned, kept = np.split(x, [cos.shape[-1]], axis=-1)
    first, second = np.split(turned, 2, axis=-1)
    turned = turned * cos + np.concatenate([-second, first], axis=-1) * sin
    return np.concatenate([turned, kept], axis=-1)
