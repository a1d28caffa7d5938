"""What attention heads do: measures of their rows, and the word that each word attends to most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layerscope.reduce.pooling import Array

# What is measured of a head, and what the number means.
MEASURES = {
    "entropy": "entropy of the attention (nats)",
    "distance": "mean attention distance (tokens)",
    "special": "share to special tokens",
    "first": "share to the first token",
    "self": "share to the token itself",
    "previous": "share to the token before",
    "next": "share to the token after",
}

# Which of two words attends to the other.
DIRECTIONS = ("from dependent", "from head word")

Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]


def measures(attention: Array, special: Flags) -> NDArray[np.float64]:
    """How each token of a text attends, special ones left out as queries but not as keys.

    Entropy and the shares are those of Clark et al. 2019 (https://arxiv.org/abs/1906.04341), the distance that of
    Vig and Belinkov 2019 (https://arxiv.org/abs/1906.04284). Where there is no token before or after, that share is 0.

    Args:
        attention: [..., query, key], rows that sum to 1.
        special: bool [token].

    Returns:
        float64 [measure, ..., query], in the order of `MEASURES`; the queries are the tokens that are not special.

    >>> uniform = np.full((3, 3), 1 / 3)
    >>> measures(uniform, np.array([True, False, False])).mean(axis=-1).round(2).tolist()
    [1.1, 0.83, 0.33, 0.33, 0.33, 0.33, 0.17]
    """
    rows = attention[..., ~special, :].astype(np.float64)
    keys, queries = np.arange(len(special)), np.flatnonzero(~special)
    found = {
        "entropy": -(rows * np.log(rows, where=rows > 0, out=np.zeros_like(rows))).sum(axis=-1),
        "distance": np.einsum("...qk,qk->...q", rows, abs(queries[:, None] - keys)),
        "special": rows[..., special].sum(axis=-1),
        "first": rows[..., :1].sum(axis=-1),
        "self": _at(rows, queries),
        "previous": _at(rows, queries - 1),
        "next": _at(rows, queries + 1),
    }
    return np.stack([found[name] for name in MEASURES])


def most_attended(attention: Array, among: Flags) -> Ids:
    """For each query the key with most attention, itself left out.

    Args:
        attention: [..., query, key], queries and keys being the same.
        among: bool [key], which may be chosen.

    Returns:
        int64 [..., query], -1 where all that may be chosen has no attention.

    >>> most_attended(np.array([[0.8, 0.2], [0.0, 1.0]]), np.array([True, True])).tolist()
    [1, -1]
    """
    weights = np.where(among & ~np.eye(len(among), dtype=bool), attention, 0.0)
    if not len(among):
        return np.empty(attention.shape[:-1], dtype=np.int64)
    return np.where(weights.max(axis=-1) > 0, weights.argmax(axis=-1), -1)


def finds_head_words(attention: Array, among: Flags, dependents: Ids, heads: Ids) -> Flags:
    """For each dependency whether attention finds the head word of the dependent.

    "from dependent": it is the word that the dependent attends to most. "from head word": it is the word that
    attends most to the dependent. So in both directions there is one guess for each dependent, as in the code of
    Clark et al. 2019 (https://github.com/clarkkev/attention-analysis).

    Args:
        attention: [..., word, word].
        among: bool [word], which may be guessed.
        dependents, heads: int64 [dependency], the numbers of words.

    Returns:
        bool [direction, ..., dependency], in the order of `DIRECTIONS`.
    """
    both = (attention, attention.swapaxes(-1, -2))
    return np.stack([most_attended(weights, among)[..., dependents] == heads for weights in both])


def can_be_asked(among: Flags, dependents: Ids, heads: Ids, is_causal: bool) -> Flags:
    """bool [direction, dependency]: whether attention can run between two words at all.

    Not to a word that is not `among` those that take part, or to itself; in a causal model only to an earlier one.
    """
    together = (dependents != heads) & (dependents >= 0) & (heads >= 0) & among[dependents] & among[heads]
    if not is_causal:
        return np.stack([together, together])
    return np.stack([together & (heads < dependents), together & (heads > dependents)])


def _at(rows: Array, keys: Ids) -> Array:
    """[..., query]: what each query gives to one key, 0 where there is no such key."""
    found = np.zeros(rows.shape[:-1])
    (queries,) = np.nonzero((keys >= 0) & (keys < rows.shape[-1]))
    found[..., queries] = rows[..., queries, keys[queries]]
    return found
