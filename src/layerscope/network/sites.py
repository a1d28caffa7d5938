"""Finding where a network's outputs come into being, whatever its family calls its parts.

Small passes with everything watched, of a short text and of a longer one: each tensor that the model
reports (hidden states, attentions, pooler output) is looked for, bit for bit, among all that went into and came out
of its modules. The earliest place that carries it each time, and also when the model is not asked to report, is the
site from which it will be read. So there is no table of families. An output that passes through no module is read
from the model's own report, for which the pass must run to the end; one that does not have the axes it should have
is left out, and why is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from layerscope.errors import ModelError
from layerscope.network.batching import Item
from layerscope.network.capture import Key, Side, Site, call, recording_attention, tensors, watch
from layerscope.network.inputs import network_inputs
from layerscope.network.outputs import AXES, reported
from layerscope.network.parts import Parts
from layerscope.network.trial import batch, short_item
from layerscope.trace import AXIS_NAMES

STATES = ("hidden_states", "decoder_hidden_states")
ATTENTIONS = ("attentions", "decoder_attentions", "cross_attentions")

# Which hidden states pass between the attentions of one block and of the next.
_SIDES = dict(
    zip(ATTENTIONS, ("hidden_states", "decoder_hidden_states", "decoder_hidden_states"), strict=True)
)


class Sites(dict[Key, Site]):
    """Sites by output and index: the number of the layer; of an attention one less than its block's.

    Attributes:
        certain: False if a block was found to change nothing. What goes into it and what comes out are the same for
            now, and other weights would tell them apart: its site must be looked for again at each run.
        missing: for outputs that the model reports and that cannot be read, why.
    """

    certain: bool = True

    def __init__(self) -> None:
        super().__init__()
        self.missing: dict[str, str] = {}

    def add(self, others: Sites) -> None:
        """Take others in."""
        self.update(others)
        self.missing |= others.missing
        self.certain = self.certain and others.certain

    def layers(self, name: str) -> tuple[int, ...]:
        """The indices at which an output is there."""
        return tuple(sorted(index for one, index in self if one == name))


def hidden_sites(model: Parts) -> Sites:
    """The sites of every hidden state, and of the pooler output if there is one.

    Raises:
        ModelError: the model reports no hidden states, too few, or none that are [text, token, hidden].
    """
    passes = _passes(model, model.hf, {"output_hidden_states": True})
    sites = Sites()
    for name in (*STATES, "pooler_output"):
        sites.add(_sites(model, name, passes))
    if "hidden_states" in sites.missing:
        raise ModelError(f"{model.name} cannot be read: {sites.missing['hidden_states']}")
    if not sites.layers("hidden_states"):
        raise ModelError(
            f"{type(model.hf).__name__} does not report its hidden states, so it cannot be read."
        )
    count = len(sites.layers("hidden_states"))
    if count != model.num_layers + 1:
        raise ModelError(f"{model.name} has {model.num_layers} layers and reports {count} hidden states.")
    if "pooler_output" not in {name for name, _ in sites} | sites.missing.keys():
        sites.add(_inner_pooler(model))
    return sites


def attention_sites(model: Parts, hidden: Sites) -> Sites:
    """The sites of the attention of every block that has one, as it is recorded, and the hidden ones beside them.

    Raises:
        ModelError: the model returns no attention or none that is [head, query, key], it does not say of which
            blocks it is, or the model computes something else when it is asked for it.
    """
    hf = model.hf
    with recording_attention(hf):
        passes = _passes(model, hf, {"output_attentions": True, "output_hidden_states": True})
    sites = Sites()
    for name in ATTENTIONS:
        sites.add(_sites(model, name, passes))
    if not sites:
        why = sites.missing.get("attentions")
        raise ModelError(
            f"The attention of {model.name} cannot be read: {why}"
            if why
            else f"{type(hf).__name__} returns no attention, whatever its implementation is set to."
        )
    plain = call(hf, {**passes.short.inputs, "output_hidden_states": True})
    if not _agree(plain, passes.short.output):
        raise ModelError(
            f"{model.name} computes something else when it is asked for its attention; it is not shown."
        )
    sites.add(hidden)
    return sites


@dataclass(eq=False)
class _Pass:
    """A watched pass: what went in, what the model reports, and where each tensor passed, with the time."""

    items: list[Item]
    inputs: Mapping[str, Any]
    output: Any = None
    places: dict[bytes, list[tuple[int, Site]]] = field(default_factory=dict)

    def run(self, hf: Any, ask: Mapping[str, bool], modules: set[str] | None = None) -> None:
        """Run it, with all modules watched, or these."""
        clock = 0

        def see(module: str, number: int, side: Side, value: Any) -> None:
            nonlocal clock
            clock += 1
            if module == "":
                return  # where its own report passes, nothing is won
            for path, tensor in tensors(value):
                if tensor.is_floating_point() and tensor.ndim >= 2:
                    place = (clock, Site(module, number, side, path))
                    self.places.setdefault(_fingerprint(tensor), []).append(place)

        with watch(hf, modules, see):
            self.output = call(hf, {**self.inputs, **ask})
        if not isinstance(self.output, Mapping):
            raise ModelError(
                f"{type(hf).__name__} cannot be read: it returns {type(self.output).__name__}, not outputs by name."
            )

    def at(self, value: torch.Tensor) -> list[tuple[int, Site]]:
        """Where a tensor passed."""
        return self.places.get(_fingerprint(value), [])

    @property
    def lengths(self) -> dict[str, int]:
        """The sizes of the axes that are known: texts, tokens, and tokens that the decoder reads."""
        targets = [0 if item.target is None else len(item.target) for item in self.items]
        windows = [len(item.window) for item in self.items]
        return {"B": len(self.items), "T": max(windows), "D": max(targets)}


@dataclass(frozen=True, eq=False)
class _Passes:
    """The passes in which an output is looked for: of the short text, of the same unasked, and of a longer one."""

    short: _Pass
    unasked: _Pass
    longer: _Pass

    def places(self, value: torch.Tensor, other: torch.Tensor) -> list[tuple[int, Site]]:
        """Where an output passes each time, by its values for both texts; with the times of the first pass."""
        unasked, longer = (
            {site for _, site in one.at(of)} for one, of in ((self.unasked, value), (self.longer, other))
        )
        return [(time, site) for time, site in self.short.at(value) if site in unasked and site in longer]


def _passes(model: Parts, hf: Any, ask: Mapping[str, bool]) -> _Passes:
    """Run them, the first with every module watched, the others with those that can matter."""
    items = [short_item(model)]
    longer = batch(model)[1:]
    passes = _Passes(*(_Pass(one, network_inputs(model, one)) for one in (items, items, longer)))
    passes.short.run(hf, ask)
    candidates = (place for _, value in tensors(passes.short.output) for place in passes.short.at(value))
    modules = {site.module for _, site in candidates}
    passes.unasked.run(
        hf, {name: one for name, one in ask.items() if name != "output_hidden_states"}, modules
    )
    passes.longer.run(hf, ask, modules)
    return passes


def _sites(model: Parts, name: str, passes: _Passes) -> Sites:
    """The sites of one output, each later in the pass than the one before, or why there are none."""
    sites = Sites()
    theirs = _reported(name, passes.short.output)
    if not theirs:
        return sites
    longer = _reported(name, passes.longer.output)
    try:
        streams = [_stream(name, value, passes.longer.lengths) for value in longer.values()]
    except ValueError as error:
        sites.missing[name] = f"what {type(model.hf).__name__} reports as {name} {error}."
        return sites
    after = 0
    times = []
    for (path, value), other, stream in zip(theirs.items(), longer.values(), streams, strict=True):
        later = ((time, site) for time, site in passes.places(value, other) if time > after)
        time, site = next(later, (None, Site("", 0, "out", path)))
        if time is not None:
            after = time
        times.append((time, replace(site, stream=stream)))
    if name in ATTENTIONS:
        _add_by_block(sites, model, name, times, passes)
    elif name == "pooler_output" and times[0][0] is None:
        sites.missing[name] = (
            f"what {type(model.hf).__name__} reports as its pooler output comes out of none of its modules: it is "
            "no trained layer, but picked from the last hidden state. Use mean, cls or last."
        )
    else:
        sites.update({(name, index): site for index, (_, site) in enumerate(times)})
    sites.certain = len({_fingerprint(value) for value in theirs.values()}) == len(theirs)
    return sites


def _add_by_block(
    sites: Sites, model: Parts, name: str, found: list[tuple[int | None, Site]], passes: _Passes
) -> None:
    """Give each attention to the block in which it passes: between the states before and behind it.

    The blocks of a hybrid network that have no attention report none, so that its place in the report says nothing.
    """
    states = _sites(model, _SIDES[name], passes)
    depth = len(states.layers(_SIDES[name])) - 1
    blocks = list(range(depth))
    if len(found) != depth:
        blocks = [_block(time, states, passes.short) for time, _ in found]
        if -1 in blocks or len(set(blocks)) != len(blocks):
            sites.missing[name] = (
                f"{type(model.hf).__name__} reports the attention of {len(found)} of {depth} blocks, and not of which."
            )
            return
    sites.update({(name, block): site for block, (_, site) in zip(blocks, found, strict=True)})


def _block(time: int | None, states: Sites, alone: _Pass) -> int:
    """The block, from 0, that is going on at a time; -1 if that is not known."""
    moments = {site: moment for places in alone.places.values() for moment, site in places}
    passed = [moments.get(replace(site, stream=None)) for site in states.values()]
    if time is None or None in passed:
        return -1
    return sum(moment is not None and moment < time for moment in passed) - 1


def _inner_pooler(model: Parts) -> Sites:
    """The pooler's site where the head, as one for masked words, drops its output; the pass goes through it."""
    hf, sites = model.hf, Sites()
    base = getattr(hf, "base_model", hf)
    if base is hf:
        return sites
    prefix = next((name for name, module in hf.named_modules() if module is base), None)
    try:
        if not _reported("pooler_output", call(base, network_inputs(model, [short_item(model)]))):
            return sites
        inner = _sites(model, "pooler_output", _passes(model, base, {})).get(("pooler_output", 0))
    except ModelError:
        return sites  # it does not run on the inputs of the whole
    if inner is not None and prefix is not None:
        sites["pooler_output", 0] = replace(inner, module=f"{prefix}.{inner.module}")
    return sites


def _reported(name: str, output: Any) -> dict[tuple[str | int, ...], torch.Tensor]:
    """What the model reports of an output, by where in its report it stands; without entries that are None."""
    their_name, value = reported(output, name)
    if isinstance(value, tuple | list):
        entries: Iterator[Any] = iter(value)
        return {(their_name, index): one for index, one in enumerate(entries) if one is not None}
    return {} if value is None else {(their_name,): value}


def _stream(name: str, value: Any, lengths: Mapping[str, int]) -> int | None:
    """The axis of parallel streams in a reported tensor, None if there is no such axis.

    Raises:
        ValueError: its axes are not those of the output.
    """
    if not isinstance(value, torch.Tensor):
        raise ValueError(f"holds {type(value).__name__}, and no tensors")
    axes = "B" + AXES[name].removeprefix("L")
    sizes = [lengths.get(axis) for axis in axes]

    def fits(shape: tuple[int, ...]) -> bool:
        return len(shape) == len(sizes) and all(
            size in (None, real) for size, real in zip(sizes, shape, strict=True)
        )

    shape = tuple(value.shape)
    if fits(shape):
        return None
    if name in STATES:
        for axis in range(len(shape)):
            if fits(shape[:axis] + shape[axis + 1 :]):
                return axis
    wanted = ", ".join(axis for axis in AXIS_NAMES[name] if axis != "layer")
    raise ValueError(
        f"has the shape {list(shape)} for texts of {lengths['T']} tokens, which is not [text, {wanted}]"
    )


def _fingerprint(tensor: torch.Tensor) -> bytes:
    values = tensor.detach().to("cpu").reshape(-1).clone().view(torch.uint8)
    return hashlib.blake2b(
        values.numpy().tobytes() + repr(tuple(tensor.shape)).encode(), digest_size=16
    ).digest()


def _agree(one: Any, other: Any) -> bool:
    """Whether two passes ended in the same hidden states, up to the rounding of another implementation."""
    ours, theirs = (
        out.get("hidden_states", out.get("decoder_hidden_states"))[-1].float() for out in (one, other)
    )
    return not bool((ours - theirs).abs().max() > 0.02 * ours.abs().max())
