"""How far apart vectors are, and how well their labels tell them apart; by cosine distance, 1 - cosine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import InputError
from layerscope.reduce.cosine import unit_length
from layerscope.reduce.pooling import Array

# Vectors whose distances from all others are in memory at once.
_CHUNK = 512

# Distances that differ by less are the same: it is what rounding leaves between equal vectors.
_SAME = 1e-9


def spread(vectors: Array) -> dict[str, float]:
    """Mean, min and max of the cosine of any two of the vectors [n, hidden], n at least 2.

    >>> spread(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]]))["max"]
    1.0
    """
    total, nearest, farthest = 0.0, np.inf, 0.0
    for own, distances in _distances(vectors):
        total += distances.sum()
        farthest = np.maximum(farthest, distances.max())
        distances[own - own[0], own] = np.inf
        nearest = np.minimum(nearest, distances.min())
    pairs = len(vectors) * (len(vectors) - 1)
    return {"mean": float(1 - total / pairs), "min": float(1 - farthest), "max": float(1 - nearest)}


def separation(vectors: Array, codes: NDArray[np.int64]) -> dict[str, float]:
    """How well vectors [n, hidden] are told apart by their labels, given as numbers from 0 [n].

    Returns:
        silhouette: the mean over the vectors (Rousseeuw 1987), 0 for the only one of a label, and for one that is
            at the same place as all others.
        accuracy: how many have a nearest other of their own label (leave-one-out); of several that are equally
            near the share that has it. The only one of a label never has.
        within, between: the mean cosine of two of the same label, and of two of different ones.

    >>> separation(np.array([[1.0, 0.1], [1.0, 0.2], [0.1, 1.0]]), np.array([0, 0, 1]))["between"] < 0.3
    True
    """
    counts = np.bincount(codes)
    members = np.eye(len(counts))[codes]
    silhouette = accuracy = same = other = 0.0
    for own, distances in _distances(vectors):
        label = codes[own]
        places = own - own[0]
        sums = distances @ members
        same += sums[places, label].sum()
        other += sums.sum() - sums[places, label].sum()
        is_single = counts[label] == 1
        inner = sums[places, label] / np.maximum(counts[label] - 1, 1)
        means = sums / counts
        means[places, label] = np.inf
        outer = means.min(axis=1)
        larger = np.maximum(inner, outer)
        gaps = np.divide(outer - inner, larger, out=np.zeros(len(own)), where=(larger > 0) & ~is_single)
        silhouette += gaps.sum()
        distances[places, own] = np.inf
        is_nearest = distances <= distances.min(axis=1, keepdims=True) + _SAME
        accuracy += (is_nearest @ members)[places, label] @ (1 / is_nearest.sum(axis=1))
    pairs_within = (counts**2).sum() - len(codes)
    pairs_between = len(codes) ** 2 - (counts**2).sum()
    measures = {
        "silhouette": silhouette / len(codes),
        "accuracy": accuracy / len(codes),
        "within": 1 - same / pairs_within,
        "between": 1 - other / pairs_between,
    }
    return {name: float(value) for name, value in measures.items()}


def _distances(vectors: Array) -> Iterator[tuple[NDArray[np.int64], Array]]:
    """The numbers of some of the vectors [n, hidden], and their distances [some, n] from all."""
    units = unit_length(vectors.astype(np.float64))
    if np.isnan(units).any():
        number = int(np.flatnonzero(np.isnan(units).any(axis=1))[0])
        raise InputError(f"Vector {number} is all zeros or has NaN in it, so it has no cosine with others.")
    for start in range(0, len(units), _CHUNK):
        own = np.arange(start, min(start + _CHUNK, len(units)))
        distances = 1 - units[own] @ units.T
        distances[distances < _SAME] = 0
        distances[own - start, own] = 0
        yield own, distances
