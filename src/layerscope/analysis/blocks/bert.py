"""Blocks like BERT's (Devlin et al. 2018): each part reads the stream itself, and each sum is normed."""

from __future__ import annotations

from collections.abc import Mapping

from layerscope.analysis.blocks.attention import attend, project
from layerscope.analysis.blocks.feed_forward import feed_forward
from layerscope.analysis.blocks.seen import Kind, Seen
from layerscope.analysis.blocks.step import Steps, step
from layerscope.network.projections import ALBERT, BERT, DISTILBERT


def steps(seen: Seen) -> Steps:
    """Attention, sum, norm; feed-forward, sum, norm."""
    x = seen.states
    yield step("input", "x", x, seen.into(""))

    queries, keys, values = yield from project(seen, x, "x")
    x = x + (yield from attend(seen, queries, keys, values))
    yield step("sum after attention", "x + a", x, seen.into("attention norm"))
    x = seen.norm("attention norm")(x)
    yield step("norm after attention", "y = norm(x + a)", x, seen.out_of("attention norm"))

    x = x + (yield from feed_forward(seen, x, "y"))
    yield step("sum after feed-forward", "y + d", x, seen.into("output norm"))
    x = seen.norm("output norm")(x)
    yield step("output", "norm(y + d)", x, seen.output)


def _kind(heads: Mapping[str, str], *modules: str) -> Kind:
    roles = ("projection", "attention norm", "up", "down", "output norm")
    return Kind("BERT-like", {**heads, **dict(zip(roles, modules, strict=True))}, steps)


# The same block under three sets of names: of BERT, RoBERTa, ELECTRA and others; of DistilBERT; of ALBERT.
KINDS = (
    _kind(
        BERT,
        "attention.output.dense",
        "attention.output.LayerNorm",
        "intermediate.dense",
        "output.dense",
        "output.LayerNorm",
    ),
    _kind(
        DISTILBERT,
        "attention.out_lin",
        "sa_layer_norm",
        "ffn.lin1",
        "ffn.lin2",
        "output_layer_norm",
    ),
    _kind(
        ALBERT,
        "attention.dense",
        "attention.LayerNorm",
        "ffn",
        "ffn_output",
        "full_layer_layer_norm",
    ),
)
