"""What makes a model and a tokenizer the same ones again: checksums of what they hold in memory."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from layerscope.model import Model


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
            digest.update(memoryview(values.view(torch.uint8).numpy()))
    return digest.hexdigest()


def tokenizer_sha256(tokenizer: Any) -> str:
    """The SHA-256 over a tokenizer's vocabulary, rules and special tokens."""
    parts = {
        "class": type(tokenizer).__name__,
        "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
    }
    if tokenizer.is_fast:
        rules = json.loads(tokenizer.backend_tokenizer.to_str())
        # Left behind by the last call, and set anew by the next.
        parts["rules"] = {name: rule for name, rule in rules.items() if name not in ("padding", "truncation")}
    else:
        parts["vocabulary"] = tokenizer.get_vocab()
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def identity(model: Model) -> dict[str, Any]:
    """What identifies a model, for a manifest; all its weights are read."""
    return {
        "kind": model.kind,
        "num_layers": model.num_layers,
        "hidden_size": model.hidden_size,
        "parameters_sha256": parameters_sha256(model.hf),
        "tokenizer_sha256": tokenizer_sha256(model.tokenizer),
    }
