"""The outputs of a pass, their axes, and how one text's part is taken from batches and windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from layerscope.network.batching import Item
from layerscope.reduce.pooling import Array

# L layers kept, T tokens, D tokens that the decoder reads; "." any other axis, taken whole.
AXES = {
    "hidden_states": "LT.",
    "attentions": "L.TT",
    "decoder_hidden_states": "LD.",
    "decoder_attentions": "L.DD",
    "cross_attentions": "L.DT",
    "queries": "LT.",
    "keys": "LT.",
    "values": "LT.",
    "pooler_output": ".",
    "logits": "T.",
}

# In float32, relative to the largest value of an output (or to 1 if that is smaller); the others round more.
TOLERANCES = {"float32": 1e-5, "float64": 1e-5, "float16": 2e-2, "bfloat16": 1e-1}

# What transformers calls an output that has another name here: the plain names are an encoder-decoder's encoder's.
NAMES = {
    "encoder_hidden_states": "hidden_states",
    "encoder_attentions": "attentions",
    "prediction_logits": "logits",
    "seq_relationship_logits": "next_sentence_logits",
    "sop_logits": "next_sentence_logits",
}

Outputs = dict[str, Array]


def named(output: Any) -> dict[str, Any]:
    """The outputs of a pass under our names, those that are known here and are there."""
    found = {NAMES.get(name, name): value for name, value in output.items()}
    return {name: value for name, value in found.items() if name in AXES and value is not None}


def reported(output: Any, name: str) -> tuple[str, Any]:
    """An output of ours in what a pass reports: its name there, and its value, None if it is not there."""
    theirs = (other for other, ours in NAMES.items() if ours == name and output.get(other) is not None)
    # A head for next sentences alone calls what it gives its logits.
    other = "logits" if name == "next_sentence_logits" else name
    found = next(theirs, other)
    return found, output.get(found)


def tolerance(dtype: torch.dtype) -> float:
    """How far two ways to compute the same may be apart, relative to the largest value."""
    return TOLERANCES.get(str(dtype).removeprefix("torch."), 1e-5)


def as_array(tensor: torch.Tensor) -> Array:
    """A tensor as a float32 array."""
    return np.asarray(tensor.detach().to("cpu", torch.float32).numpy())


def axes_of(name: str, item: Item, axes: Mapping[str, str] = AXES) -> str:
    """The axes of an output of one text; an encoder-decoder's logits are its decoder's."""
    return "D." if name == "logits" and item.target is not None else axes[name]


def unpadded(batch: Mapping[str, Array], number: int, item: Item, known: Mapping[str, str]) -> Outputs:
    """One item's part of a batch's outputs, without its padding; `known` are the axes of each output.

    In a batch the axis of texts comes after that of layers: hidden_states is [layer, text, token, hidden].
    """
    lengths = {"T": len(item.window), "D": 0 if item.target is None else len(item.target)}
    outputs = {}
    for name, array in batch.items():
        axes = axes_of(name, item, known)
        own = array[:, number] if axes[0] == "L" else array[number]
        own = own[tuple(slice(lengths[axis]) if axis in lengths else slice(None) for axis in axes)]
        is_alone = array.size == own.size
        outputs[name] = own if is_alone else own.copy()  # a view would keep the whole batch in memory
    return outputs


def stitched(parts: Sequence[tuple[Item, Outputs]], known: Mapping[str, str]) -> Outputs:
    """The outputs of a text from those of its windows, each token's from the window that owns it.

    What belongs to a window as a whole (the pooler output, the class of a text) has no part in a text of several.
    """
    if len(parts) == 1:
        return parts[0][1]
    first, outputs = parts[0]
    whole: Outputs = {}
    for name, array in outputs.items():
        axes = axes_of(name, first, known)
        if axes.count("T") != 1:
            continue
        axis = axes.index("T")
        shape = [len(first.tokens) if number == axis else size for number, size in enumerate(array.shape)]
        whole[name] = np.empty(shape, dtype=array.dtype)
        for item, own in parts:
            rows = np.moveaxis(whole[name], axis, 0)  # a view: writing to it writes to the whole
            rows[item.window.positions[item.window.owned]] = np.moveaxis(own[name], axis, 0)[
                item.window.owned
            ]
    return whole
