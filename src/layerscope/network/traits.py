"""What is assumed of a network, tried on it once: that texts do not change each other, and whether it is causal.

No table of families says it: a wrapped, adapted or quantised network may behave otherwise than its family.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from layerscope.errors import ModelError
from layerscope.network.batching import Item
from layerscope.network.capture import call, evaluation, tensors
from layerscope.network.inputs import network_inputs
from layerscope.network.outputs import AXES, as_array, axes_of, reported, tolerance
from layerscope.network.parts import Parts
from layerscope.network.sites import Sites
from layerscope.network.trial import batch, short_item
from layerscope.reduce.pooling import Array

# Beyond what float32 rounds otherwise in a batch; half precisions have their own tolerance.
_COMPANY = 1e-4

# A later token moves the states before it by at least so much of the largest value where the numbers of a text
# depend on its company (activations that are quantised together): anything less may be that.
_NOISE = 0.05


@dataclass(frozen=True)
class Traits:
    """How a network behaves.

    Attributes:
        is_causal: whether a token's states depend only on it and the tokens before it.
        company: the output that a longer text beside it changes most, and by how much of its largest value; None
            where padding and other texts change nothing. Texts then pass one by one.
        refusal: why it cannot be read at all; None if it can.
    """

    is_causal: bool
    company: tuple[str, float] | None = None
    refusal: str | None = None


def traits(model: Parts, sites: Callable[[], Sites]) -> Traits:
    """Try a model on short texts; `sites` are asked for where its outputs are."""
    if model.device.type == "meta":  # no weights, so there is nothing to try
        return Traits(_says_causal(model))
    try:
        where = sites()
    except ModelError as error:
        return Traits(_says_causal(model), refusal=str(error))
    with model.lock, evaluation(model.hf):
        item = short_item(model)
        alone = _outputs(model, where, [item])[0]
        beside = _beside(model, where)
        name, moved = _largest(alone, _outputs(model, where, [item])[0])
        if moved > _limit(model):
            refusal = (
                f"{model.name} gives other numbers for the same text a second time ({name} differ by {moved:.2g} of "
                "the largest value): its pass draws random numbers or changes its weights, so it cannot be read."
            )
            return Traits(_says_causal(model), refusal=refusal)
        name, moved = ("outputs", np.inf) if beside is None else _largest(alone, beside)
        company = (name, moved) if moved > _limit(model) else None
        return Traits(_is_causal(model, where, item, alone, company is not None), company)


def _beside(model: Parts, where: Sites) -> dict[str, Array] | None:
    """What a pass reports of the short text beside a longer one; None where the network takes one text at a time."""
    try:
        return _outputs(model, where, batch(model))[0]
    except ModelError:
        return None


def _is_causal(model: Parts, where: Sites, item: Item, before: Mapping[str, Array], is_noisy: bool) -> bool:
    """Whether changing the last token of a text leaves the states of those before it as they were."""
    states = before.get("hidden_states")
    content = np.flatnonzero(~item.tokens.special_mask)
    if states is None or len(content) < 2 or not np.isfinite(states).all():
        return _says_causal(model)
    first, last = int(content[0]), int(content[-1])
    if item.tokens.ids[first] == item.tokens.ids[last]:
        return _says_causal(model)
    limit = _NOISE if is_noisy else _limit(model)
    if _moved(model, where, item, states, last, first)[:last].max() > limit:
        return False
    # What nothing moves (attention that needs a GPU's kernels, and gives zeros without) is no more causal than not.
    return bool(_moved(model, where, item, states, first, last)[last:].max() > limit) or _says_causal(model)


def _moved(model: Parts, where: Sites, item: Item, before: Array, place: int, other: int) -> Array:
    """[token]: how far states move, of a layer's largest value, when one token is replaced by another of the text."""
    ids = item.tokens.ids.copy()
    ids[place] = ids[other]
    changed = replace(item, tokens=replace(item.tokens, ids=ids))
    after = _outputs(model, where, [changed])[0]["hidden_states"]
    scale = np.maximum(np.abs(before).max(axis=(1, 2)), 1e-30)
    return np.asarray((np.abs(after - before).max(axis=2) / scale[:, None]).max(axis=0))


def _says_causal(model: Parts) -> bool:
    """What the configuration says, for a network that cannot be tried."""
    from transformers.models.auto import modeling_auto as auto

    family = model.config.model_type
    is_masked = family in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    is_masked = is_masked and not getattr(model.config, "is_decoder", False)
    return family in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and not is_masked


def _limit(model: Parts) -> float:
    return max(_COMPANY, tolerance(model.hf.dtype))


def _outputs(model: Parts, where: Sites, items: Sequence[Item]) -> list[dict[str, Array]]:
    """What a pass reports of each item, without its padding; a series of layers as one array."""
    output = call(model.hf, {**network_inputs(model, items), "output_hidden_states": True})
    return [_of_one(where, output, number, item) for number, item in enumerate(items)]


def _of_one(where: Sites, output: Any, number: int, item: Item) -> dict[str, Array]:
    lengths = {"T": len(item.window), "D": 0 if item.target is None else len(item.target)}
    found = {}
    for name in AXES:
        if "attentions" in name:
            continue
        layers = [one for _, one in tensors(reported(output, name)[1])]
        sites = [where.get((name, layer)) for layer in range(len(layers))]
        layers = [one if site is None else site.of(one) for one, site in zip(layers, sites, strict=True)]
        axes = axes_of(name, item).removeprefix("L")
        if layers and all(one.shape == layers[0].shape and one.ndim == len(axes) + 1 for one in layers):
            cut = tuple(slice(lengths.get(axis)) for axis in axes)
            found[name] = as_array(torch.stack([one[number][cut] for one in layers]))
    return found


def _largest(one: Mapping[str, Array], other: Mapping[str, Array]) -> tuple[str, float]:
    """The output that differs most, and by how much of its largest value; NaN on one side alone is no agreement."""
    worst = ("", 0.0)
    for name, ours in one.items():
        theirs = other[name]
        if theirs.shape != ours.shape:
            continue  # what is not [text, token, …] the search for sites refuses
        finite = np.isfinite(ours) & np.isfinite(theirs)
        moved = np.inf if (np.isnan(ours) != np.isnan(theirs)).any() else 0.0
        if finite.any():
            scale = max(float(np.abs(ours[finite]).max()), 1e-30)
            moved = max(moved, float(np.abs(ours[finite] - theirs[finite]).max()) / scale)
        worst = max(worst, (name, moved), key=lambda pair: pair[1])
    return worst
