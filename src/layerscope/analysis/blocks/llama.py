"""Blocks like Llama's (Touvron et al. 2023): as GPT-2's, with positions by rotation, shared keys, and a gate."""

from __future__ import annotations

from layerscope.algebra import rotate
from layerscope.analysis.blocks.attention import attend, project
from layerscope.analysis.blocks.feed_forward import gated_feed_forward
from layerscope.analysis.blocks.seen import Kind, Seen
from layerscope.analysis.blocks.step import Part, Steps, step
from layerscope.network.projections import LLAMA
from layerscope.reduce.pooling import Array


def steps(seen: Seen) -> Steps:
    """Norm, attention, sum; norm, gated feed-forward, sum."""
    x = seen.states
    yield step("input", "x", x, seen.into(""))

    normed = seen.norm("attention norm")(x)
    yield step("norm before attention", "n = norm(x)", normed, seen.out_of("attention norm"))
    queries, keys, values = yield from project(seen, normed, "n")
    if seen.has("query norm"):  # Qwen3
        queries = yield from _normed(seen, "queries", "query norm", queries)
        keys = yield from _normed(seen, "keys", "key norm", keys)
    cos, sin = seen.rotary
    queries, keys = rotate(queries, cos, sin), rotate(keys, cos, sin)
    yield step("rotated queries", "q′ = rotate(q)", queries)
    yield step("rotated keys", "k′ = rotate(k)", keys)
    x = x + (yield from attend(seen, queries, keys, values, "q′ k′"))
    yield step("sum after attention", "y = x + a", x, seen.into("feed-forward norm"))

    normed = seen.norm("feed-forward norm")(x)
    yield step("norm before feed-forward", "m = norm(y)", normed, seen.out_of("feed-forward norm"))
    x = x + (yield from gated_feed_forward(seen, normed, "m"))
    yield step("output", "y + d", x, seen.output)


def _normed(seen: Seen, name: str, role: str, heads: Array) -> Part:
    """Queries or keys [head, token, width], each normed in its own head."""
    normed = seen.norm(role)(heads)
    shown = seen.out_of(role)  # [token, head, width]
    theirs = None if shown is None else shown.swapaxes(0, 1)
    yield step(f"normed {name}", f"{name[0]} ← norm({name[0]})", normed, theirs)
    return normed


KINDS = (
    Kind(
        "Llama-like",
        {
            "attention norm": "input_layernorm",
            **LLAMA,
            "query norm": "self_attn.q_norm",
            "key norm": "self_attn.k_norm",
            "projection": "self_attn.o_proj",
            "feed-forward norm": "post_attention_layernorm",
            "gate": "mlp.gate_proj",
            "up": "mlp.up_proj",
            "down": "mlp.down_proj",
        },
        steps,
        may=frozenset({"query norm", "key norm"}),
    ),
)
