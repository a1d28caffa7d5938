"""What makes a model and a tokenizer the same ones again: checksums of what they hold in memory."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from layerscope.network.network import Network


def parameters_sha256(hf: Any) -> str:
    """The SHA-256 over all parameters and buffers of a network: names, types, shapes, values.

    Of what is in memory, not of files: a network that was changed after it was loaded is another one.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(hf.state_dict().items()):
        if not isinstance(tensor, torch.Tensor):
            continue
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        values = tensor.detach().to("cpu").contiguous().reshape(-1)
        if values.numel():
            digest.update(values.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def tokenizer_sha256(tokenizer: Any) -> str:
    """The SHA-256 over a tokenizer's vocabulary, rules and special tokens."""
    special = {name: str(token) for name, token in sorted(tokenizer.special_tokens_map.items())}
    digest = hashlib.sha256(f"{type(tokenizer).__name__} {json.dumps(special)};".encode())
    if tokenizer.is_fast:
        rules = tokenizer.backend_tokenizer.to_str()
        # What stands before, padding and truncation, is left behind by the last call and set anew by the next.
        digest.update(rules[rules.index('"added_tokens"') :].encode())
    else:
        digest.update(json.dumps(sorted(tokenizer.get_vocab().items())).encode())
    return digest.hexdigest()


def identity(model: Network) -> dict[str, Any]:
    """What identifies a model, for a manifest; all its weights are read."""
    return {
        "kind": model.kind,
        "num_layers": model.num_layers,
        "hidden_size": model.hidden_size,
        "parameters_sha256": parameters_sha256(model.hf),
        "tokenizer_sha256": tokenizer_sha256(model.tokenizer),
    }
