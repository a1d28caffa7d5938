"""READ FIRST. The one place that runs a network for looking: text → tokens → windows → batches → trace.

`run_many` is the path, one station a line. A single text takes the same path: its batch of one needs no
padding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch

from layerscope.errors import InputError, ModelError
from layerscope.network.batching import BATCH_TOKENS, Item, batches
from layerscope.network.capture import Key, Take, capture, evaluation, recording_attention
from layerscope.network.fitting import fitted, fitted_target
from layerscope.network.inputs import network_inputs
from layerscope.network.missing import why_missing
from layerscope.network.network import Network
from layerscope.network.outputs import AXES, Outputs, as_array, reported, stitched, unpadded
from layerscope.network.projections import PROJECTIONS
from layerscope.network.sites import ATTENTIONS
from layerscope.network.wanted import Wanted
from layerscope.network.windows import windows
from layerscope.reduce.layers import Layers, resolve_layers, resolve_sides
from layerscope.text.encode import Text, encode, encode_target, list_of_texts
from layerscope.text.tokens import Tokens
from layerscope.trace import Trace


def run_many(
    model: Network,
    texts: Sequence[Text],
    *,
    targets: Iterable[str] | None = None,
    layers: Layers = "all",
    attention: bool = False,
    logits: bool = False,
    projections: bool = False,
    long: str = "window",
    batch_tokens: int = BATCH_TOKENS,
) -> list[Trace]:
    """Run texts, or pairs, and bring back what was computed, in the order given. See `Model.run_many`."""
    wanted = _wanted(model, layers, attention, logits, projections, targets)
    encoded = [fitted(model, tokens, long) for tokens in encode(model.vocabulary, texts)]
    decoded = _targets(model, targets, len(encoded), long)
    items = _items(model, encoded, decoded, wanted)
    parts: list[list[tuple[Item, Outputs]]] = [[] for _ in encoded]
    for batch in batches(items, model.tokens_at_once(batch_tokens)):
        outputs = forward(model, batch, wanted)
        for number, item in enumerate(batch):
            parts[item.text].append((item, unpadded(outputs, number, item, model.axes)))
    return [
        _trace(model, wanted, tokens, target, own)
        for tokens, target, own in zip(encoded, decoded, parts, strict=True)
    ]


def forward(model: Network, batch: Sequence[Item], wanted: Wanted) -> Outputs:
    """One pass over a batch: its outputs, padded; axes as in `outputs.AXES`, the text's after the layer's."""
    caught, output = passing(model, batch, wanted, lambda _key, tensor: tensor)
    widths = {tensor.shape[-1] for (name, _), tensor in caught.items() if name == "hidden_states"}
    if len(widths) > 1:
        raise ModelError(
            f"{model.name} cannot be read: its hidden states are of different widths, {sorted(widths)}."
        )
    outputs = _stacked(caught)
    if wanted.logits:
        outputs |= _of_heads(model, output)
    return outputs


def passing(
    model: Network, batch: Sequence[Item], wanted: Wanted, take: Take
) -> tuple[dict[Key, torch.Tensor], Any]:
    """One pass over a batch: what `take` keeps of each tensor [text, …] as it passes, and the model's output."""
    with model.lock, ExitStack() as stack:
        known = dict(model.sites(wanted.attention))
        if wanted.projections:
            known |= model.projections()
        sites = {key: site for key, site in known.items() if _is_wanted(model, key, wanted)}
        stack.enter_context(evaluation(model.hf))
        if wanted.attention:
            stack.enter_context(recording_attention(model.hf))
        inputs = network_inputs(model, batch) | ({"output_attentions": True} if wanted.attention else {})
        if any(site.is_reported for site in sites.values()):
            inputs["output_hidden_states"] = True
        checked = _checked(model, batch, take)
        caught, output = capture(model.hf, inputs, sites, checked, whole=wanted.logits)
        for key in sites.keys() - caught.keys():
            raise _not_there(model, key)
    return caught, output


def _checked(model: Network, batch: Sequence[Item], take: Take) -> Take:
    """`take`, of tensors with as many tokens as went in only: a site holds for texts of any length."""
    lengths = {
        "T": max(len(item.window) for item in batch),
        "D": max(len(item.target or ()) for item in batch),
    }

    def check_and_take(key: Key, tensor: torch.Tensor) -> torch.Tensor:
        axes, shape = AXES[key[0]].removeprefix("L"), tensor.shape[1:]
        if len(shape) != len(axes) or any(
            lengths.get(axis, size) != size for axis, size in zip(axes, shape, strict=True)
        ):
            raise _not_there(model, key)
        return take(key, tensor)

    return check_and_take


def _not_there(model: Network, key: Key) -> ModelError:
    return ModelError(
        f"{model.name} cannot be read: its {key[0]}[{key[1]}] does not pass where it passed for a short "
        "text. If its modules were changed since, load or wrap it anew."
    )


def _wanted(
    model: Network,
    layers: Layers,
    attention: bool,
    logits: bool,
    projections: bool,
    targets: Iterable[str] | None,
) -> Wanted:
    if any(head.kind == "multiple-choice" for head in model.heads):
        raise ModelError(
            f"{model.name} with its head for multiple choice reads several texts together, and a run is of one: load "
            "it without task=."
        )
    if projections and not (model.num_heads and model.projections()):
        raise ModelError(
            f"The queries, keys and values of {model.name} cannot be read: its blocks are built in a way that is not "
            "known here. They are known of blocks like BERT's, GPT-2's and Llama's."
        )
    if logits and not model.heads:
        raise ModelError(f"{model.name} has no language-model head, nor another, so it gives no logits.")
    if logits and not model.trained_heads:
        raise ModelError(f"The head of {model.name} is not in the checkpoint: its logits would be noise.")
    if targets is not None and not model.is_encoder_decoder:
        raise InputError(f"target= is for encoder-decoders; the kind of {model.name} is {model.kind}.")
    if logits and model.is_encoder_decoder and targets is None:
        raise InputError("The logits of an encoder-decoder are its decoder's: give target= with logits=True.")
    if targets is None:
        encoder = resolve_layers(layers, model.num_layers)
        decoder: tuple[int, ...] = ()
    else:
        encoder, decoder = resolve_sides(layers, model.num_layers, model.num_decoder_layers)
    return Wanted(
        encoder,
        decoder,
        bool(attention),
        bool(logits),
        pooler=model.num_layers in encoder,
        projections=bool(projections),
    )


def _targets(model: Network, targets: Iterable[str] | None, count: int, long: str) -> list[Tokens | None]:
    if targets is None:
        return [None] * count
    given = list_of_texts(targets, "targets")
    if len(given) != count:
        raise InputError(f"There are {count} texts and {len(given)} targets; each text needs one.")
    start = model.decoder_start_id
    encoded = [encode_target(model.vocabulary, target, start) for target in given]
    return [fitted_target(model, tokens, long) for tokens in encoded]


def _items(model: Network, encoded: list[Tokens], targets: list[Tokens | None], wanted: Wanted) -> list[Item]:
    items = []
    for number, (tokens, target) in enumerate(zip(encoded, targets, strict=True)):
        pieces = windows(tokens, model.context_window, causal=model.kind == "decoder")
        if len(pieces) > 1 and (wanted.attention or target is not None):
            what = "attention" if wanted.attention else "a decoder's target"
            raise InputError(
                f"The text has {len(tokens)} tokens and the context window of {model.name} is "
                f"{model.context_window}; with {what} the text must fit. Shorten it, or give long='cut'."
            )
        items += [Item(number, tokens, piece, target) for piece in pieces if len(piece)]
    return items


def _is_wanted(model: Network, key: Key, wanted: Wanted) -> bool:
    name, index = key
    if name == "pooler_output":
        return wanted.pooler
    layers = wanted.decoder_layers if name.startswith(("decoder_", "cross_")) else wanted.layers
    return (index if "hidden_states" in name else index + 1) in layers


def _stacked(caught: dict[Key, torch.Tensor]) -> Outputs:
    """The tensors of each output, its layers in order, as one array.

    Raises:
        ModelError: queries, keys or values of blocks that differ in their widths.
    """
    series: dict[str, list[torch.Tensor]] = {}
    for name, index in sorted(caught):
        series.setdefault(name, []).append(caught[name, index])
    for name in PROJECTIONS.keys() & series.keys():
        if len(widths := {one.shape[-1] for one in series[name]}) > 1:
            raise ModelError(
                f"The {name} of the blocks are of different widths, {sorted(widths)}: name one layer."
            )
    return {
        name: as_array(torch.stack(layers) if AXES[name][0] == "L" else layers[0])
        for name, layers in series.items()
    }


def _of_heads(model: Network, output: Any) -> Outputs:
    """What the trained heads give, each text's axis first."""
    found: Outputs = {}
    for head in model.trained_heads:
        for name, axes in head.axes.items():
            value = reported(output, name)[1]
            is_of_words = head.is_language_model and value is not None and value.shape[-1] < model.vocab_size
            if value is None or value.ndim != len(axes) + 1 or is_of_words:
                what = "logits over its vocabulary" if head.is_language_model else f"{name} that can be read"
                raise ModelError(f"{type(model.hf).__name__} has no {what}.")
            found[name] = as_array(value)
    return found


def _trace(
    model: Network, wanted: Wanted, tokens: Tokens, target: Tokens | None, parts: list[tuple[Item, Outputs]]
) -> Trace:
    outputs = stitched(parts, model.axes) if parts else _of_nothing(model, wanted)
    outputs |= _by_head(model, outputs)
    if model.untrained_pooler:
        outputs.pop("pooler_output", None)
    places = [
        item.window.positions[item.window.owned | ~tokens.special_mask[item.window.positions]]
        for item, _ in parts
    ]
    return Trace(
        model=model.name,
        kind=model.kind,
        num_layers=model.num_layers,
        num_decoder_layers=model.num_decoder_layers,
        tokens=tokens,
        target=target,
        layers=wanted.layers,
        decoder_layers=wanted.decoder_layers,
        heads=model.trained_heads if wanted.logits else (),
        windows=tuple((int(place[0]), int(place[-1]) + 1) for place in places),
        outputs=outputs,
        attention_layers=_attention_layers(model, wanted),
        missing=why_missing(model, wanted, target is not None, len(parts)),
    )


def _attention_layers(model: Network, wanted: Wanted) -> dict[str, tuple[int, ...]]:
    """For each output of the attention of blocks, the layers that were kept of those that have it."""
    names: list[str] = []
    known: set[Key] = set()
    if wanted.attention:
        names, known = [*ATTENTIONS], known | model.sites(attention=True).keys()
    if wanted.projections:
        names, known = [*names, *PROJECTIONS], known | model.projections().keys()
    return {
        name: tuple(
            index + 1
            for one, index in sorted(known)
            if one == name and _is_wanted(model, (one, index), wanted)
        )
        for name in names
    }


def _by_head(model: Network, outputs: Outputs) -> Outputs:
    """Queries, keys and values [layer, head, token, width] from those of all heads side by side."""
    queries = outputs.get("queries")
    if queries is None or not model.num_heads:
        return {}
    width = queries.shape[-1] // model.num_heads
    if width * model.num_heads != queries.shape[-1] or any(
        outputs[name].shape[-1] % width for name in PROJECTIONS
    ):
        raise ModelError(
            f"The queries of {model.name} are {queries.shape[-1]} wide, which are no {model.num_heads} heads."
        )
    return {
        name: np.ascontiguousarray(
            np.moveaxis(outputs[name].reshape(*outputs[name].shape[:2], -1, width), 2, 1)
        )
        for name in PROJECTIONS
    }


def _of_nothing(model: Network, wanted: Wanted) -> Outputs:
    """The outputs of a text without a single token, which a tokenizer with no template makes of ""."""
    blocks = len(_attention_layers(model, wanted).get("attentions", ()))
    outputs = {"hidden_states": np.empty((len(wanted.layers), 0, model.hidden_size), np.float32)}
    if wanted.attention:
        outputs["attentions"] = np.empty((blocks, model.num_heads or 0, 0, 0), np.float32)
    if wanted.projections:
        layers = len(_attention_layers(model, wanted)["queries"])
        outputs |= {name: np.empty((layers, 0, model.hidden_size), np.float32) for name in PROJECTIONS}
    if wanted.logits and model.has_head:
        outputs["logits"] = np.empty((0, model.vocab_size), np.float32)
    return outputs
