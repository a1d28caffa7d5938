"""Attention, labelled: heads put together, the pieces of a word merged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from layerscope.arguments import check
from layerscope.errors import InputError, unknown
from layerscope.reduce.pooling import Array
from layerscope.text.tokens import Tokens

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
    check("head", head, "int", "str")
    if not -len(heads) <= head < len(heads):
        raise InputError(f"Head {head} does not exist: this layer has heads 0 to {len(heads) - 1}.")
    return np.asarray(heads[head])


def which_heads(head: int | str) -> str:
    """What `one_head` takes, in words.

    >>> which_heads(4), which_heads("mean")
    ('head 4', 'mean over the heads')
    """
    return f"{head} over the heads" if isinstance(head, str) else f"head {head}"


@dataclass(frozen=True, eq=False)
class Units:
    """The tokens or words of a text in order, as the rows or columns of an attention table.

    Attributes:
        labels: what each reads.
        shares: float32 [unit, token], which tokens make up each; columns sum to 1.
        is_word: bool [unit], false for special tokens and white space, which are units of their own, and for
            others that are set apart.
    """

    labels: tuple[str, ...]
    shares: Array
    is_word: Array


def units(tokens: Tokens, unit: str) -> Units:
    """The units of these tokens: every "token", or every "word" and each token that belongs to none.

    A token that covers several words is shared between them.
    """
    if unit == "token":
        return Units(tokens.strings, np.eye(len(tokens), dtype=np.float32), ~tokens.special_mask)
    if unit != "word":
        raise unknown("unit", unit, UNITS)
    groups: list[tuple[int, str, Sequence[int]]] = [
        (span.start, word.text, range(span.start, span.stop))
        for word, span in zip(tokens.words, tokens.word_spans, strict=True)
        if len(span)
    ]
    groups += [(i, tokens.strings[i], ()) for i in np.flatnonzero(tokens.word_index < 0).tolist()]
    groups.sort(key=lambda group: group[0])
    shares = np.zeros((len(groups), len(tokens)), dtype=np.float32)
    for number, (first, _, own) in enumerate(groups):
        shares[number, list(own) or first] = 1
    shares /= shares.sum(axis=0, keepdims=True)
    return Units(
        tuple(label for _, label, _ in groups),
        shares,
        np.array([bool(own) for *_, own in groups], dtype=bool),
    )


def without_sink(units: Units) -> Units:
    """Units with the first token set apart too, where no special token stands there.

    On it causal models park the attention that they have no use for (attention sink, Xiao et al. 2023), so that it
    would hide what words attend to otherwise.
    """
    is_word = units.is_word.copy()
    is_word[:1] = False
    return replace(units, is_word=is_word)


def merge(attention: Array, queries: Array, keys: Array) -> Array:
    """Attention between tokens [head, query, key] to attention between units, by `Units.shares`.

    To a unit goes the sum over its tokens, from it the mean, so that rows still sum to 1 (Clark et al. 2019).
    """
    from_tokens = queries / queries.sum(axis=1, keepdims=True)
    return np.asarray(from_tokens @ attention @ keys.T)
