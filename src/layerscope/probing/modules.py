"""The modules of sentence-transformers that make a feature of a network's hidden states."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from layerscope.reduce.feature import Feature

# Our poolings as sentence-transformers' `Pooling` names them.
MODES = {
    "cls": "cls_token",
    "mean": "mean_tokens",
    "max": "max_tokens",
    "last": "lasttoken",
    "mean_sqrt": "mean_sqrt_len_tokens",
    "weighted_mean": "weightedmean_tokens",
}

# What a `Pooling` puts first where it is asked for [CLS] too: a way to hand it what was pooled before.
_KEPT = "cls_token_embeddings"


@dataclass(frozen=True, eq=False)
class Module:
    """One module: its class, its configuration, and its weights if it has any."""

    kind: str
    config: dict[str, Any]
    weights: dict[str, torch.Tensor] = field(default_factory=dict)


def pooling(name: str, width: int, kept: bool = False) -> Module:
    """The pooling of tokens of this width; behind what was `kept` of layers before, if something was."""
    names = {name, "cls"} if kept else {name}
    modes = {f"pooling_mode_{mode}": ours in names for ours, mode in MODES.items()}
    return Module("Pooling", {"word_embedding_dimension": width, **modes})


def behind(feature: Feature, layers: tuple[int, ...], blocks: int, width: int) -> list[Module]:
    """What follows a network of so many blocks that gives all of its hidden states.

    Args:
        feature: one that `is_exportable`.
        layers: that it reads.
        blocks: how many the network has.
        width: of its hidden states.
    """
    if feature.combine is None or (feature.combine == "mean" and feature.pooling != "max"):
        # The mean of what is pooled linearly is what is pooled of the mean.
        return [_of_layers(layers, blocks, width), pooling(feature.pooling, width)]
    modules = []
    for number, layer in enumerate(layers, start=1):
        is_last = number == len(layers)
        modules += [_of_layers((layer,), blocks, width), pooling(feature.pooling, width, kept=number > 1)]
        if not is_last:
            modules.append(_linear(torch.eye(number * width), _KEPT))
    if feature.combine != "concat":
        share = 1.0 if feature.combine == "sum" else 1 / len(layers)
        modules.append(_linear(share * torch.eye(width).repeat(1, len(layers)), "sentence_embedding"))
    return modules


def _of_layers(layers: tuple[int, ...], blocks: int, width: int) -> Module:
    """Each token's mean over these layers."""
    start = min(layers)
    weights = torch.tensor([float(layer in layers) for layer in range(start, blocks + 1)])
    config = {"word_embedding_dimension": width, "layer_start": start, "num_hidden_layers": blocks}
    return Module("WeightedLayerPooling", config, {"layer_weights": weights})


def _linear(weight: torch.Tensor, output: str) -> Module:
    """The text's vector times a matrix [out, in], under another name."""
    config = {
        "in_features": weight.shape[1],
        "out_features": weight.shape[0],
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
        "module_input_name": "sentence_embedding",
        "module_output_name": output,
    }
    return Module("Dense", config, {"linear.weight": weight.contiguous()})
