"""Finding where a network's outputs come into being, whatever its family calls its parts.

One small pass with everything watched: each tensor that the model reports (hidden states, attentions,
pooler output) is looked for, bit for bit, among all that went into and came out of its modules. The
earliest place that carries it is the site from which it will be read. So there is no table of families,
and a model whose outputs are found nowhere is refused instead of read wrongly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from layerscope.errors import ModelError
from layerscope.network.capture import Key, Side, Site, recording_attention, tensors, watch
from layerscope.network.inputs import inputs_of
from layerscope.network.outputs import named
from layerscope.text.encode import encode

if TYPE_CHECKING:
    from layerscope.model import Model


_SHORT_TEXT = "Seeing is believing."


class Sites(dict[Key, Site]):
    """Sites by output and index; `certain` unless a block was found to change nothing.

    What goes into such a block and what comes out are the same for now, and other weights would tell them
    apart: its site must be looked for again at each run.
    """

    certain: bool = True

    def add(self, others: Sites) -> None:
        """Take others in."""
        self.update(others)
        self.certain = self.certain and others.certain


def hidden_sites(model: Model) -> Sites:
    """The sites of every hidden state, and of the pooler output if there is one.

    Raises:
        ModelError: the model reports no hidden states or too few, or they cannot be found in it.
    """
    hf, inputs = model.hf, _short_inputs(model)
    sites = _find(hf, inputs, {"output_hidden_states": True})
    if ("hidden_states", 0) not in sites:
        raise ModelError(f"{type(hf).__name__} does not report its hidden states, so it cannot be read.")
    count = sum(name == "hidden_states" for name, _ in sites)
    if count != model.num_layers + 1:
        raise ModelError(f"{model.name} has {model.num_layers} layers and reports {count} hidden states.")
    base = getattr(hf, "base_model", hf)
    if ("pooler_output", 0) not in sites and base is not hf:
        # Heads for masked words drop the pooler from their output, though the pass goes through it.
        prefix = next(name for name, module in hf.named_modules() if module is base)
        inner = _find(base, inputs, {}).get(("pooler_output", 0))
        if inner is not None:
            sites["pooler_output", 0] = Site(f"{prefix}.{inner.module}", inner.call, inner.side, inner.path)
    return sites


def attention_sites(model: Model) -> Sites:
    """The sites of the attention of every block, recorded as it is in a run, and those of the hidden states.

    Raises:
        ModelError: the model returns no attention, it cannot be found in it, or the model computes something
            else when it is asked for it.
    """
    hf, inputs = model.hf, _short_inputs(model)
    with recording_attention(hf):
        sites = _find(hf, inputs, {"output_attentions": True})
        recorded = hf(**inputs, output_hidden_states=True, output_attentions=True)
    for key in [key for key in sites if "attentions" not in key[0]]:
        del sites[key]
    if not sites:
        raise ModelError(f"{type(hf).__name__} returns no attention, whatever its implementation is set to.")
    if not _agree(hf(**inputs, output_hidden_states=True), recorded):
        raise ModelError(
            f"{model.name} computes something else when it is asked for its attention; it is not shown."
        )
    sites.add(model.sites())
    return sites


def _find(hf: Any, inputs: Mapping[str, Any], ask: Mapping[str, bool]) -> Sites:
    seen: dict[bytes, list[tuple[int, Site]]] = {}
    clock = 0

    def see(module: str, call: int, side: Side, value: Any) -> None:
        nonlocal clock
        if module == "":
            return  # the model's output itself is no place to catch its parts
        clock += 1
        for path, tensor in tensors(value):
            if tensor.is_floating_point() and tensor.ndim >= 2:
                seen.setdefault(_fingerprint(tensor), []).append((clock, Site(module, call, side, path)))

    with watch(hf, None, see):
        output = hf(**inputs, **ask)
    sites = Sites()
    for name, value in named(output).items():
        if name == "pooler_output":
            sites.add(_series(hf, name, (value,), seen))
        elif isinstance(value, tuple) and ask:
            sites.add(_series(hf, name, value, seen))
    return sites


def _series(
    hf: Any, name: str, values: tuple[torch.Tensor, ...], seen: Mapping[bytes, list[tuple[int, Site]]]
) -> Sites:
    """The sites of one output layer by layer, each later in the pass than the one before."""
    sites = Sites()
    after = 0
    for index, value in enumerate(values):
        places = [] if value is None else seen.get(_fingerprint(value), [])
        later = next(((time, site) for time, site in places if time > after), None)
        if later is None:
            raise ModelError(
                f"{type(hf).__name__} cannot be read: what it reports as {name}[{index}] comes out of none of its "
                "modules."
            )
        after, sites[name, index] = later
    sites.certain = len({_fingerprint(value) for value in values}) == len(values)
    return sites


def _fingerprint(tensor: torch.Tensor) -> bytes:
    values = tensor.detach().to("cpu").reshape(-1).clone().view(torch.uint8)
    return hashlib.blake2b(
        values.numpy().tobytes() + repr(tuple(tensor.shape)).encode(), digest_size=16
    ).digest()


def _short_inputs(model: Model) -> dict[str, Any]:
    (tokens,) = encode(model.vocabulary, [_SHORT_TEXT])
    return inputs_of(model, tokens)


def _agree(one: Any, other: Any) -> bool:
    """Whether two passes ended in the same hidden states, up to the rounding of another implementation."""
    ours, theirs = (
        out.get("hidden_states", out.get("decoder_hidden_states"))[-1].float() for out in (one, other)
    )
    return not bool((ours - theirs).abs().max() > 0.02 * ours.abs().max())
