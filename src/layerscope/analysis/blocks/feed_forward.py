"""The feed-forward part of a block: each token on its own, up to more dimensions and down again."""

from __future__ import annotations

from layerscope.analysis.blocks.seen import Seen
from layerscope.analysis.blocks.step import Part, product, step
from layerscope.reduce.pooling import Array


def feed_forward(seen: Seen, x: Array, symbol: str) -> Part:
    """From x [token, hidden] to what the feed-forward part adds."""
    layer = seen.linear("up")
    up = layer(x)
    yield step("up", f"u = {product(layer, symbol, '₁')}", up, seen.out_of("up"))
    active = seen.activation(up)
    yield step("activation", f"g = {seen.activation_name}(u)", active, seen.into("down"))
    return (yield from _down(seen, active))


def gated_feed_forward(seen: Seen, x: Array, symbol: str) -> Part:
    """The same with a gate, which opens each dimension as far as x says (Shazeer 2020)."""
    layer = seen.linear("gate")
    gate = layer(x)
    yield step("gate", f"t = {product(layer, symbol, 'ₜ')}", gate, seen.out_of("gate"))
    active = seen.activation(gate)
    yield step("activation", f"{seen.activation_name}(t)", active, seen.out_of("mlp.act_fn"))
    layer = seen.linear("up")
    up = layer(x)
    yield step("up", f"u = {product(layer, symbol, '₁')}", up, seen.out_of("up"))
    gated = active * up
    yield step("gated", f"g = {seen.activation_name}(t) u", gated, seen.into("down"))
    return (yield from _down(seen, gated))


def _down(seen: Seen, x: Array) -> Part:
    layer = seen.linear("down")
    down = layer(x)
    yield step("down", f"d = {product(layer, 'g', '₂')}", down, seen.out_of("down"))
    return down
