"""Watching a text pass through one block, found by what it is made of."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from layerscope.analysis.blocks.seen import Seen
from layerscope.analysis.blocks.step import Kind
from layerscope.errors import ModelError
from layerscope.network.capture import Side, Site, evaluation, observe, recording_attention, tensors
from layerscope.network.inputs import inputs_of
from layerscope.network.outputs import as_array
from layerscope.reduce.pooling import Array
from layerscope.text.tokens import Tokens

if TYPE_CHECKING:
    from layerscope.model import Model


@dataclass(frozen=True, eq=False)
class Passage:
    """How a text passed through the block of a layer.

    Attributes:
        name: the block's name in the network.
        seen: what it showed.
        after: the module behind the block that the hidden states of its layer come out of: a final norm; None
            where they come out of the block itself.
        states: float32 [token, hidden], the model's hidden states of this layer.
    """

    name: str
    seen: Seen
    after: torch.nn.Module | None
    states: Array


def passage(model: Model, tokens: Tokens, layer: int, kinds: Iterable[Kind]) -> Passage:
    """Run the network up to the hidden states of a layer, and keep what its block shows.

    The block is the first module of one of these kinds that is entered once the hidden states of the layer
    before are there.

    Raises:
        ModelError: there is none.
    """
    hf = model.hf
    blocks = {name: kind for kind in kinds for name, module in hf.named_modules() if kind.fits(module)}
    if not blocks:
        raise _not_drawn(model)
    reported: dict[str, Array] = {}
    block: str | None = None
    passed: dict[tuple[str, Side], list[Array]] = {}
    given: dict[str, Any] = {}

    def see(name: str, call: int, side: Side, value: Any) -> None:
        nonlocal block
        for what, site in wanted.items():
            if (name, call, side) == (site.module, site.call, site.side):
                reported[what] = _array(dict(tensors(value))[site.path])
        if block is None and "before" in reported and side == "in" and name in blocks:
            block = name
        if block is not None and f"{name}.".startswith(f"{block}."):
            part = name.removeprefix(block).removeprefix(".")
            first = next((tensor for _, tensor in tensors(value)), None)
            if first is not None and first.is_floating_point():
                passed.setdefault((part, side), []).append(_array(first))
            if side == "in":
                given[part] = value

    with model.lock, ExitStack() as stack:
        wanted = _wanted(model, layer)
        stack.enter_context(evaluation(hf))
        stack.enter_context(recording_attention(hf))
        inputs = inputs_of(model, tokens) | {"output_attentions": True}
        observe(hf, inputs, see, until=wanted["after"])
    if block is None or wanted.keys() - reported.keys():
        raise _not_drawn(model)
    after = wanted["after"].module
    is_own = f"{after}.".startswith(f"{block}.")
    return Passage(
        name=block,
        seen=Seen(
            kind=blocks[block],
            block=hf.get_submodule(block),
            config=model.config,
            states=reported["before"],
            attention=reported["attention"],
            output=reported["after"] if is_own else passed["", "out"][0],
            passed={key: arrays[0] for key, arrays in passed.items() if len(arrays) == 1},
            given=given,
        ),
        after=None if is_own else hf.get_submodule(after),
        states=reported["after"],
    )


def _wanted(model: Model, layer: int) -> dict[str, Site]:
    """Where the model shows what goes into the block of a layer, its attention, and what the layer is."""
    sites = model.sites(attention=True)
    keys = {
        "before": ("hidden_states", layer - 1),
        "attention": ("attentions", layer - 1),
        "after": ("hidden_states", layer),
    }
    if any(key not in sites or sites[key].is_reported for key in keys.values()):
        raise _not_drawn(model)
    return {what: sites[key] for what, key in keys.items()}


def _array(tensor: torch.Tensor) -> Array:
    """What is there of the one text that passes; a copy, since it may be changed in place."""
    return np.array(as_array(tensor[0]))


def _not_drawn(model: Model) -> ModelError:
    """The network's blocks are taken to be what its first list of modules holds."""
    lists = (
        module for module in model.hf.modules() if isinstance(module, torch.nn.ModuleList) and len(module)
    )
    block = type(next(lists, [model.hf])[0]).__name__
    return ModelError(
        f"The block of {model.name} ({block}) is not drawn yet; BERT-, GPT-2- and Llama-like blocks are."
    )
