"""Pooling: many vectors into one. Each strategy is a registered function; yours joins in one line.

>>> import layerscope as ls
>>> @ls.pooling("first_half")
... def first_half(states, tokens):
...     return states[: len(states) // 2].mean(axis=0)
>>> ls.load().run("Seeing is believing.").pool("first_half").shape
(384,)

The functions see every real token of the text, its special tokens included, as sentence-transformers'
pooling does; padding never reaches them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerscope.arguments import checked
from layerscope.errors import InputError, ModelError, unknown
from layerscope.text.tokens import Tokens

Array = NDArray[Any]
Pooling = Callable[[Array, Tokens], Array]
Weighting = Callable[[int, Tokens], Array]

POOLINGS: dict[str, Pooling] = {}

# Those among them that are weighted sums, by their weights: float32 [token].
WEIGHTINGS: dict[str, Weighting] = {}

# The one that is none, and that the network's side knows too.
MAX = "max"

# Not functions of the hidden states: the checkpoint's own trained layer, and no pooling at all.
POOLER = "pooler"
UNPOOLED = ("tokens", "words")

# What stands for a text as a whole: a text that passes in several windows has none of it.
WHOLE_TEXT = ("cls", POOLER)


@checked
def pooling(name: str) -> Callable[[Pooling], Pooling]:
    """Register a pooling strategy: a function of states [token, hidden] and `Tokens` to [hidden].

    Raises:
        InputError: the name is taken, or is not a plain word (features are written `name@layers`).
    """
    if not name.isidentifier() or name in POOLINGS or name == POOLER or name in UNPOOLED:
        raise InputError(
            f"A pooling's name must be a new plain word; {name!r} is taken or has other signs in it."
        )

    def register(function: Pooling) -> Pooling:
        POOLINGS[name] = function
        return function

    return register


def pooling_names() -> list[str]:
    """Every strategy that gives one vector, the registered ones and the checkpoint's own."""
    return [*POOLINGS, POOLER]


def check_pooling(name: str) -> None:
    """Raise an `InputError` for what is no strategy that gives one vector."""
    if name not in (known := pooling_names()):
        raise unknown("pooling", name, known)


def pool(name: str, states: Array, tokens: Tokens) -> Array:
    """Pool states [token, hidden] of these tokens into [hidden].

    Raises:
        InputError: no such pooling, or no token to pool.
        ModelError: 'cls' of a tokenizer that has no classification token.
    """
    if not isinstance(name, str) or name not in POOLINGS:
        raise unknown("pooling", name, pooling_names())
    if not len(states):
        raise InputError(
            "There is no token to pool: the text is empty and this tokenizer adds no special tokens."
        )
    return np.array(POOLINGS[name](states, tokens))  # never a view, which would write into the trace


@checked
def weighting(name: str) -> Callable[[Weighting], Weighting]:
    """Register a pooling that is a weighted sum: a function of n and `Tokens` to the n weights of the tokens.

    A batch is pooled by it in one matrix product, wherever its states are; see `network/pooled.py`.

    >>> import layerscope as ls
    >>> import numpy as np
    >>> @ls.weighting("recent")
    ... def recent(count, tokens):
    ...     weights = 0.9 ** np.arange(count)[::-1]
    ...     return (weights / weights.sum()).astype("float32")
    >>> ls.load().run("Seeing is believing.").feature("recent@-1").shape
    (384,)

    Raises:
        InputError: as for `pooling`.
    """

    def register(function: Weighting) -> Weighting:
        def weighted_sum(states: Array, tokens: Tokens) -> Array:
            return np.asarray(function(len(states), tokens) @ states)

        pooling(name)(weighted_sum)
        WEIGHTINGS[name] = function
        return function

    return register


@weighting("mean")
def mean(count: int, tokens: Tokens) -> Array:
    """The mean of all tokens."""
    return np.asarray(np.full(count, 1 / count, dtype=np.float32))


@pooling(MAX)
def maximum(states: Array, tokens: Tokens) -> Array:
    """The largest value of each dimension."""
    return np.asarray(states.max(axis=0))


@weighting("cls")
def cls(count: int, tokens: Tokens) -> Array:
    """The classification token that the template put in; never just the first token."""
    if tokens.cls_index is None or tokens.cls_index >= count:
        name = tokens.vocabulary.name
        raise ModelError(
            f"Pooling 'cls' needs a classification token such as [CLS]; this tokenizer ({name}) puts none in. "
            "Use 'last' or 'mean'."
        )
    return _one_hot(count, tokens.cls_index)


@weighting("last")
def last(count: int, tokens: Tokens) -> Array:
    """The last token: for a decoder the only one that has seen the whole text."""
    return _one_hot(count, count - 1)


@weighting("mean_sqrt")
def mean_sqrt(count: int, tokens: Tokens) -> Array:
    """The sum over the square root of the number of tokens (Arora et al. 2017; sentence-transformers)."""
    return np.full(count, 1 / np.sqrt(count), dtype=np.float32)


@weighting("weighted_mean")
def weighted_mean(count: int, tokens: Tokens) -> Array:
    """The mean weighted by position, 1…n, so that a decoder's later tokens count more (SGPT, Muennighoff 2022)."""
    weights = np.arange(1, count + 1, dtype=np.float64)
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def _one_hot(count: int, position: int) -> Array:
    return np.asarray(np.eye(1, count, position, dtype=np.float32)[0])


# Those that every process knows.
BUILT_IN = frozenset(POOLINGS)
