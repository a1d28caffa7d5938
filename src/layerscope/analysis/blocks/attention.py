"""The attention of a block, and what its parts have in common."""

from __future__ import annotations

from collections.abc import Generator

from layerscope.algebra import attention_scores, masked, merge_heads, repeat_heads, softmax, split_heads
from layerscope.analysis.blocks.seen import Seen
from layerscope.analysis.blocks.step import Part, Step, product, step
from layerscope.reduce.pooling import Array

Heads = tuple[Array, Array, Array]


def split(x: Array | None, num_heads: int) -> Array | None:
    """What was seen of all heads side by side, head by head."""
    return None if x is None else split_heads(x, num_heads)


def project(seen: Seen, x: Array, symbol: str) -> Generator[Step, None, Heads]:
    """Queries, keys and values [head, token, width] of x [token, hidden], each by a matrix of its own.

    Of keys and values there may be fewer heads (grouped queries, Ainslie et al. 2023), all of the same width.
    """
    width = len(seen.linear("query").weight) // seen.num_heads
    queries = yield from _heads(seen, "queries", "query", x, symbol, width)
    keys = yield from _heads(seen, "keys", "key", x, symbol, width)
    values = yield from _heads(seen, "values", "value", x, symbol, width)
    return queries, keys, values


def _heads(seen: Seen, name: str, role: str, x: Array, symbol: str, width: int) -> Part:
    layer = seen.linear(role)
    count = len(layer.weight) // width
    part = split_heads(layer(x), count)
    formula = f"{name[0]} = split({product(layer, symbol, name[0])})"
    yield step(name, formula, part, split(seen.out_of(role), count))
    return part


def attend(seen: Seen, queries: Array, keys: Array, values: Array, symbols: str = "q k") -> Part:
    """From queries [head, token, width], keys and values [key head, token, width] to what attention adds."""
    heads, width, mask = seen.num_heads, queries.shape[-1], seen.mask
    scale = width**-0.5 if seen.scale is None else seen.scale
    keys, values = repeat_heads(keys, heads), repeat_heads(values, heads)

    scores = attention_scores(queries, keys, scale)
    yield step("scores", f"s = {symbols}ᵀ / {_root(scale, width)}", scores)
    if mask is not None:
        scores = masked(scores, mask)
        yield step("masked scores", "s, −∞ where hidden", scores)
    probabilities = softmax(scores)
    yield step("probabilities", "p = softmax(s)", probabilities, seen.attention)
    mixed = probabilities @ values
    yield step("weighted values", "z = p v", mixed, split(seen.into("projection"), heads))
    layer = seen.linear("projection")
    added = layer(merge_heads(mixed))
    yield step("attention output", f"a = {product(layer, 'merge(z)', 'o')}", added, seen.out_of("projection"))
    return added


def _root(scale: float, width: int) -> str:
    return f"√{width}" if scale == width**-0.5 else f"{1 / scale:.4g}"
