"""Watching a text pass through one block, found by what it is made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from layerscope.analysis.blocks.seen import Kind, Seen, parts_of
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


def passage(model: Model, tokens: Tokens, layer: int, kinds: Sequence[Kind]) -> Passage:
    """Run the network up to the hidden states of a layer, and keep what its block shows.

    Raises:
        ModelError: the block of the layer is, and has in it, no module of one of these kinds.
    """
    hf = model.hf
    wanted = _wanted(model, layer)
    block, kind = _block(model, layer, kinds)
    reported: dict[str, Array] = {}
    passed: dict[tuple[str, Side], list[Array]] = {}
    given: dict[str, Any] = {}

    def see(name: str, call: int, side: Side, value: Any) -> None:
        for what, site in wanted.items():
            if (name, call, side) == (site.module, site.call, site.side):
                reported[what] = _array(dict(tensors(value))[site.path])
        if "before" in reported and f"{name}.".startswith(f"{block}."):
            part = name.removeprefix(block).removeprefix(".")
            first = next((tensor for _, tensor in tensors(value)), None)
            if first is not None and first.is_floating_point():
                passed.setdefault((part, side), []).append(_array(first))
            if side == "in":
                given[part] = value

    with model.lock, ExitStack() as stack:
        stack.enter_context(evaluation(hf))
        stack.enter_context(recording_attention(hf))
        inputs = inputs_of(model, tokens) | {"output_attentions": True}
        observe(hf, inputs, see, until=wanted["after"])
    if wanted.keys() - reported.keys():
        raise _unknown(model, layer, block, kinds)
    _refuse_other_tokens(model, layer, len(tokens), reported)
    after = wanted["after"].module
    is_own = f"{after}.".startswith(f"{block}.")
    return Passage(
        name=block,
        seen=Seen(
            kind=kind,
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
    if lacking := [what for what, key in keys.items() if key not in sites or sites[key].is_reported]:
        what = "attention" if lacking == ["attention"] else "hidden states"
        raise ModelError(f"Layer {layer} of {model.name} shows no {what}, so its block cannot be followed.")
    return {what: sites[key] for what, key in keys.items()}


def _block(model: Model, layer: int, kinds: Sequence[Kind]) -> tuple[str, Kind]:
    """The block of a layer, or the module in it, that is of one of these kinds: its name, and which kind."""
    found = model.blocks()[layer - 1]
    if found is None:
        raise ModelError(f"Layer {layer} of {model.name} cannot be followed: its block is not found.")
    for name, module in model.hf.get_submodule(found.module).named_modules(prefix=found.module):
        for kind in kinds:
            if kind.fits(module):
                return name, kind
    raise _unknown(model, layer, found.module, kinds)


def _refuse_other_tokens(model: Model, layer: int, count: int, reported: Mapping[str, Array]) -> None:
    """Raise if a model puts vectors of its own among those of the text."""
    states, keys = len(reported["before"]), reported["attention"].shape[-1]
    if states != count or keys != count:
        raise ModelError(
            f"Layer {layer} of {model.name} has {states} states and {keys} keys for a text of {count} tokens: the "
            "model puts vectors of its own before the text (prompt or prefix tuning), which cannot be followed here."
        )


def _array(tensor: torch.Tensor) -> Array:
    """What is there of the one text that passes; a copy, since it may be changed in place."""
    return np.array(as_array(tensor[0]))


def _unknown(model: Model, layer: int, name: str, kinds: Sequence[Kind]) -> ModelError:
    """Why the block of a layer is none of the known kinds: adapters around its parts, or other parts."""
    block = model.hf.get_submodule(name)
    start = f"Layer {layer} of {model.name} ({type(block).__name__})"
    parts, foreign = _within_foreign(block)
    differences = {kind.name: kind.differences(parts) for kind in kinds}
    nearest = min(differences, key=lambda name: sum(map(len, differences[name])))
    if foreign and not any(differences[nearest]):
        name, module = next(iter(foreign.items()))
        return ModelError(
            f"{start} cannot be followed: its {name} is a {_package(module)}.{type(module).__name__}. Merge adapters "
            "into the weights first (merge_and_unload() of PEFT), and wrap the model again."
        )
    added, lacking = differences[nearest]
    said = [f"{verb} {_few(names)}" for verb, names in (("has", added), ("lacks", lacking)) if names]
    known = " and ".join(", ".join(differences).rsplit(", ", 1))
    return ModelError(
        f"{start} is of no kind that can be followed: {known} blocks can. Next to a {nearest} one it "
        f"{' and '.join(said) or 'stands elsewhere'}."
    )


def _within_foreign(block: torch.nn.Module) -> tuple[frozenset[str], dict[str, torch.nn.Module]]:
    """A block's parts, each module of another package taken as one part; and those modules."""
    own = {"torch", _package(block)}
    foreign: dict[str, torch.nn.Module] = {}
    for name, module in block.named_modules():
        if _package(module) not in own and not any(name.startswith(f"{outer}.") for outer in foreign):
            foreign[name] = module
    inner = {name for name in parts_of(block) if any(name.startswith(f"{outer}.") for outer in foreign)}
    return frozenset(parts_of(block) - inner | foreign.keys()), foreign


def _package(module: torch.nn.Module) -> str:
    return type(module).__module__.partition(".")[0]


def _few(parts: Collection[str]) -> str:
    """The first of some names, and how many more there are."""
    named = sorted(parts)
    more = f" and {len(named) - 2} more" if len(named) > 2 else ""
    return ", ".join(named[:2]) + more
