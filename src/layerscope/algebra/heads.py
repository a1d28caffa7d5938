"""Attention in several heads: each reads its own slice of the queries, keys and values."""

from __future__ import annotations

import numpy as np

from layerscope.algebra.attention import Mask, scaled_dot_product_attention
from layerscope.algebra.linear import Array, Linear
from layerscope.errors import InputError


def multi_head_attention(
    x: Array,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    num_heads: int,
    mask: Mask | None = None,
    context: Array | None = None,
) -> Array:
    """[token, hidden]: several attentions side by side, put together by a last linear layer.

    Args:
        x: [token, hidden], what the queries are made of.
        query, key, value, output: the four linear layers.
        num_heads: how many heads they are split into.
        mask: bool [token, context token], true where a token may look.
        context: [context token, hidden], what the keys and values are made of; x itself if left out.

    >>> import layerscope as ls
    >>> rng = np.random.default_rng(0)
    >>> layers = [ls.algebra.Linear(rng.normal(size=(6, 6))) for _ in range(4)]
    >>> multi_head_attention(rng.normal(size=(5, 6)), *layers, num_heads=2).shape
    (5, 6)
    """
    context = x if context is None else context
    queries = split_heads(query(x), num_heads)
    keys = split_heads(key(context), num_heads)
    values = split_heads(value(context), num_heads)
    attention = scaled_dot_product_attention(queries, keys, values, mask)
    return output(merge_heads(attention.output))


def split_heads(x: Array, num_heads: int) -> Array:
    """[token, head · width] to [head, token, width]: the first `width` columns are head 0, the next head 1, …

    Raises:
        InputError: the columns cannot be shared out evenly.
    """
    tokens, columns = x.shape
    if num_heads < 1 or columns % num_heads:
        raise InputError(f"{columns} columns cannot be split into {num_heads} heads of the same width.")
    return np.asarray(x.reshape(tokens, num_heads, columns // num_heads).swapaxes(0, 1))


def merge_heads(x: Array) -> Array:
    """[head, token, width] to [token, head · width], the way back.

    >>> x = np.arange(12.0).reshape(2, 6)
    >>> bool((merge_heads(split_heads(x, 3)) == x).all())
    True
    """
    heads, tokens, width = x.shape
    return np.asarray(x.swapaxes(0, 1).reshape(tokens, heads * width))


def repeat_heads(x: Array, num_heads: int) -> Array:
    """[key head, token, width] to [head, token, width], for queries in groups that share keys (Ainslie et al. 2023).

    Of 2 key heads and 6 query heads, the first serves 0, 1 and 2, the second 3, 4 and 5.

    Raises:
        InputError: the groups would not be of the same size.
    """
    if num_heads % len(x):
        raise InputError(f"{num_heads} heads cannot share {len(x)} key heads evenly.")
    return np.repeat(x, num_heads // len(x), axis=0)
