"""Blocks like GPT-2's (Radford et al. 2019): each part reads a normed copy of the stream, and adds to it."""

from __future__ import annotations

from collections.abc import Generator

from layerscope.algebra import split_heads
from layerscope.analysis.blocks.attention import Heads, attend, split
from layerscope.analysis.blocks.feed_forward import feed_forward
from layerscope.analysis.blocks.seen import Kind, Seen
from layerscope.analysis.blocks.step import Step, Steps, product, step
from layerscope.network.projections import GPT2
from layerscope.reduce.pooling import Array


def steps(seen: Seen) -> Steps:
    """Norm, attention, sum; norm, feed-forward, sum."""
    x = seen.states
    yield step("input", "x", x, seen.into(""))

    normed = seen.norm("attention norm")(x)
    yield step("norm before attention", "n = norm(x)", normed, seen.out_of("attention norm"))
    queries, keys, values = yield from _project(seen, normed)
    x = x + (yield from attend(seen, queries, keys, values))
    yield step("sum after attention", "y = x + a", x, seen.into("feed-forward norm"))

    normed = seen.norm("feed-forward norm")(x)
    yield step("norm before feed-forward", "m = norm(y)", normed, seen.out_of("feed-forward norm"))
    x = x + (yield from feed_forward(seen, normed, "m"))
    yield step("output", "y + d", x, seen.output)


def _project(seen: Seen, x: Array) -> Generator[Step, None, Heads]:
    """Queries, keys and values [head, token, width], made by one matrix and then cut into thirds."""
    layer, heads, shown = seen.linear("query"), seen.num_heads, seen.out_of("query")
    # Heads of the three, one after the other: [3 · head, token, width].
    parts = split_heads(layer(x), 3 * heads)
    theirs = split(shown, 3 * heads)
    made = []
    for number, name in enumerate(("queries", "keys", "values")):
        third = slice(number * heads, (number + 1) * heads)
        formula = f"{name[0]} = split({product(layer, 'n', name[0])})"
        yield step(name, formula, parts[third], None if theirs is None else theirs[third])
        made.append(parts[third])
    queries, keys, values = made
    return queries, keys, values


KINDS = (
    Kind(
        "GPT-2-like",
        {
            "attention norm": "ln_1",
            **GPT2,
            "projection": "attn.c_proj",
            "feed-forward norm": "ln_2",
            "up": "mlp.c_fc",
            "down": "mlp.c_proj",
        },
        steps,
    ),
)
