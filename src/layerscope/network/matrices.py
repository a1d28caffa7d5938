"""The two embedding matrices: what tokens are looked up in, and what the head multiplies states by.

A parameter is not always what a module computes: adapters add to it, some embeddings are multiplied by a constant,
quantised ones hold codes. Where a module is more than a parameter, its rows are what it gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch

from layerscope.errors import ModelError
from layerscope.network import sizes
from layerscope.network.capture import evaluation

# Ids that are looked up, or dimensions that are multiplied, at once.
_BLOCK = 4096
_DIMENSIONS = 128

# The most that a head may differ from a product with its rows, relative to the largest value: in float32, and in less.
_TOLERANCE = 1e-4
_TOLERANCE_HALF = 3e-2


@dataclass(frozen=True, eq=False)
class Matrix:
    """A matrix of one row for each token.

    Attributes:
        rows: [row, width], as it is held, or as it was computed.
        computed_by: package and class of the module that computed the rows; None where they are its parameter itself.
    """

    rows: torch.Tensor
    computed_by: str | None = None


def input_matrix(hf: Any, name: str) -> Matrix:
    """What tokens are looked up in: what the input embedding gives for each id.

    Raises:
        ModelError: there is none, or what it gives for an id depends on the ids beside it.
    """
    module = _input_embedding(hf)
    if module is None:
        raise ModelError(f"{name} has no input matrix: its embedding has no row for each token.")
    if _is_parameter(module, torch.nn.Embedding):
        return Matrix(module.weight.detach())
    with evaluation(hf):
        return Matrix(_looked_up(module, name), _class(module))


def output_matrix(hf: Any, name: str) -> Matrix:
    """What the head multiplies states by to get logits, its bias left out.

    Raises:
        ModelError: there is no head, or it computes more than a product with a matrix.
    """
    module = hf.get_output_embeddings()
    if module is None:
        raise ModelError(f"{name} has no language-model head, so no output matrix: use matrix='input'.")
    if _is_parameter(module, torch.nn.Linear) or _is_parameter(module, torch.nn.Embedding):
        return Matrix(module.weight.detach())
    with evaluation(hf):
        return Matrix(_multiplied(module, hf, name), _class(module))


def are_tied(hf: Any) -> bool | None:
    """Whether both matrices are one parameter and nothing is added to either; None where there is no head."""
    first, head = _input_embedding(hf), hf.get_output_embeddings()
    if head is None:
        return None
    if first is None:
        return False
    weights = [getattr(module, "weight", None) for module in (first, head)]
    added = {name for module in (first, head) for name, _ in module.named_parameters()} - {"weight", "bias"}
    return _are_one(*weights) and not added


def _are_one(one: Any, other: Any) -> bool:
    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
        return False
    return one is other or (not one.is_meta and one.data_ptr() == other.data_ptr())


def _input_embedding(hf: Any) -> Any:
    """The module that tokens are looked up in, None where there is none (CANINE's embeddings are hashed)."""
    try:
        return hf.get_input_embeddings()
    except NotImplementedError:
        return None


def _is_parameter(module: Any, kind: type) -> bool:
    """Whether a module does nothing but look up, or multiply by, its weight."""
    own = vars(module).get("forward") is None and not module._forward_hooks and not module._forward_pre_hooks
    weight = module.weight if own and type(module).forward is kind.forward else None  # type: ignore[attr-defined]
    return isinstance(weight, torch.Tensor) and weight.ndim == 2 and weight.is_floating_point()


def _class(module: Any) -> str:
    """The package and the class of a module: adapters call theirs as torch does."""
    return f"{type(module).__module__.partition('.')[0]}.{type(module).__name__}"


def _looked_up(module: Any, name: str) -> torch.Tensor:
    """What an embedding gives for every id, [row, width]; the last id is tried alone too."""
    count, device = _count(module, name), _device(next(_tensors(module)))
    blocks = [torch.arange(at, min(at + _BLOCK, count), device=device) for at in range(0, count, _BLOCK)]
    rows = [_given(module, ids, name) for ids in blocks]
    alone = _given(module, blocks[-1][-1:], name)
    if not torch.allclose(alone, rows[-1][-1:], rtol=1e-4, atol=1e-6, equal_nan=True):
        raise ModelError(
            f"The input embedding of {name} ({_class(module)}) has no row for each token: what it gives for "
            "one depends on those beside it."
        )
    return torch.cat(rows)


def _given(module: Any, ids: torch.Tensor, name: str) -> torch.Tensor:
    """What an embedding gives for ids, [id, width]."""
    try:
        given = module(ids[None])
    except Exception as error:
        raise ModelError(
            f"The input embedding of {name} ({_class(module)}) gives nothing for ids alone: {error}"
        ) from error
    found = given[0] if isinstance(given, tuple) else given
    if (
        not isinstance(found, torch.Tensor)
        or found.shape[:2] != (1, len(ids))
        or not found.is_floating_point()
    ):
        raise ModelError(f"The input embedding of {name} ({_class(module)}) gives no vector for each id.")
    return found[0].detach().dequantize() if found.is_quantized else found[0].detach()


def _multiplied(module: Any, hf: Any, name: str) -> torch.Tensor:
    """What a head gives for each dimension of the state alone, [row, width], less what it gives for zeros."""
    held = next(_tensors(module))
    dtype = held.dtype if held.is_floating_point() and held.dtype.itemsize > 1 else hf.dtype
    width, device = _width(module, hf), _device(held)
    base = _logits(module, torch.zeros(1, width, dtype=dtype, device=device), name)
    rows = torch.empty(base.shape[-1], width)
    for at in range(0, width, _DIMENSIONS):
        ones = torch.eye(width, dtype=dtype, device=device)[at : at + _DIMENSIONS]
        rows[:, at : at + _DIMENSIONS] = (_logits(module, ones, name) - base).T
    state = torch.randn(1, width, generator=torch.Generator().manual_seed(0)).to(dtype)
    theirs = (_logits(module, state.to(device), name) - base)[0]
    ours = rows @ state[0].float()
    tolerance = _TOLERANCE if dtype == torch.float32 else _TOLERANCE_HALF
    if not float((ours - theirs).abs().max()) <= tolerance * float(theirs.abs().max()):
        raise ModelError(
            f"The head of {name} ({_class(module)}) has no output matrix: it does not only multiply states by "
            "one. Load the model unquantised, or use matrix='input'."
        )
    return rows


def _device(held: torch.Tensor) -> torch.device:
    """Where a module takes its inputs; one whose weights are offloaded moves them itself."""
    return torch.device("cpu") if held.is_meta else held.device


def _logits(module: Any, states: torch.Tensor, name: str) -> torch.Tensor:
    try:
        logits: torch.Tensor = module(states[None])
        return logits[0].detach().float().cpu()
    except Exception as error:
        raise ModelError(
            f"The head of {name} ({_class(module)}) gives nothing for states: {error}"
        ) from error


def _count(module: Any, name: str) -> int:
    """How many rows an embedding has: its own word for it, or that of the table within it."""
    for part in module.modules():
        weight = getattr(part, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.ndim == 2:
            return len(weight)
        if isinstance(getattr(part, "num_embeddings", None), int):
            return int(part.num_embeddings)
    raise ModelError(f"The input embedding of {name} ({_class(module)}) has no row for each token.")


def _width(module: Any, hf: Any) -> int:
    for part in module.modules():
        if isinstance(getattr(part, "in_features", None), int):
            return int(part.in_features)
    return sizes.width(hf)


def _tensors(module: Any) -> Iterator[torch.Tensor]:
    """What a module holds; quantised ones may hold it packed, out of sight."""
    yield from module.parameters()
    yield from module.buffers()
    with suppress(TypeError, AttributeError):
        yield module.weight()
