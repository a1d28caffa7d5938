"""Where blocks make their queries, keys and values: by the names of modules, in the kinds of block that are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from layerscope.network.blocks import Block
from layerscope.network.capture import Key, Site

# What they are called as outputs, and the roles of the modules that make them.
PROJECTIONS = {"queries": "query", "keys": "key", "values": "value"}

# The modules by their roles, within a block: of BERT, RoBERTa, ELECTRA and others; of DistilBERT; of ALBERT.
BERT = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
}
DISTILBERT = {"query": "attention.q_lin", "key": "attention.k_lin", "value": "attention.v_lin"}
ALBERT = {"query": "attention.query", "key": "attention.key", "value": "attention.value"}

# Of GPT-2, where one makes all three, side by side; of Llama, Mistral, Qwen and others.
GPT2 = {"query": "attn.c_attn"}
LLAMA = {"query": "self_attn.q_proj", "key": "self_attn.k_proj", "value": "self_attn.v_proj"}

KNOWN: tuple[Mapping[str, str], ...] = (BERT, DISTILBERT, ALBERT, GPT2, LLAMA)


def projection_sites(hf: Any, blocks: Sequence[Block | None]) -> dict[Key, Site]:
    """The sites of the queries, keys and values of those blocks that are of a known kind."""
    sites: dict[Key, Site] = {}
    for number, block in enumerate(blocks):
        found = None if block is None else _modules(hf, block)
        if block is None or found is None:
            continue
        for name, role in PROJECTIONS.items():
            part = None if "key" in found else (list(PROJECTIONS).index(name), len(PROJECTIONS))
            sites[name, number] = Site(found.get(role, found["query"]), block.call, "out", part=part)
    return sites


def _modules(hf: Any, block: Block) -> dict[str, str] | None:
    """The modules of a block, or of what it holds, by their roles; None where they are of no known kind."""
    inside: torch.nn.Module = hf.get_submodule(block.module)
    names = {name for name, _ in inside.named_modules(prefix=block.module)}
    for outer in sorted(names, key=lambda name: name.count(".")):
        for kind in KNOWN:
            if all(f"{outer}.{module}" in names for module in kind.values()):
                return {role: f"{outer}.{module}" for role, module in kind.items()}
    return None
