"""Attention, labelled: heads put together, the pieces of a word merged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from layerscope.errors import InputError, unknown
from layerscope.pooling import Array
from layerscope.tokens import Tokens

UNITS = ("token", "word")

HEADS: dict[str, Callable[[Array], Array]] = {
    "mean": lambda heads: np.asarray(heads.mean(axis=0)),
    "max": lambda heads: np.asarray(heads.max(axis=0)),
}


def one_head(heads: Array, head: int | str) -> Array:
    """[head, query, key] to [query, key]: one head, or the "mean" or "max" over all."""
    if isinstance(head, str):
        if head not in HEADS:
            raise unknown("way to put heads together", head, HEADS)
        return HEADS[head](heads)
    if not -len(heads) <= head < len(heads):
        raise InputError(f"Head {head} does not exist: this layer has heads 0 to {len(heads) - 1}.")
    return np.asarray(heads[head])


def units(tokens: Tokens, unit: str) -> tuple[list[str], Array]:
    """The labels of tokens or words in order, and which tokens make up each.

    Returns:
        labels [unit], and shares [unit, token], each column summing to 1. Special tokens and white space
        are units of their own; a token that covers several words is shared between them.
    """
    if unit == "token":
        return list(tokens.strings), np.eye(len(tokens), dtype=np.float32)
    if unit != "word":
        raise unknown("unit", unit, UNITS)
    groups: list[tuple[int, str, Sequence[int]]] = [
        (span.start, word.text, range(span.start, span.stop))
        for word, span in zip(tokens.words, tokens.word_spans, strict=True)
        if len(span)
    ]
    groups += [(i, tokens.strings[i], [i]) for i in np.flatnonzero(tokens.word_index < 0).tolist()]
    groups.sort(key=lambda group: group[0])
    shares = np.zeros((len(groups), len(tokens)), dtype=np.float32)
    for number, (_, _, own) in enumerate(groups):
        shares[number, list(own)] = 1
    shares /= shares.sum(axis=0, keepdims=True)
    return [label for _, label, _ in groups], shares


def merge(attention: Array, queries: Array, keys: Array) -> Array:
    """Attention between tokens [query, key] to attention between units, by `units`' shares.

    To a unit goes the sum over its tokens, from it the mean, so that rows still sum to 1 (Clark et al. 2019).
    """
    from_tokens = queries / queries.sum(axis=1, keepdims=True)
    return np.asarray(from_tokens @ attention @ keys.T)
