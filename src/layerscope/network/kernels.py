"""The same mathematics by the routines that suit this processor: oneDNN for products, short attention as products.

PyTorch multiplies float32 by MKL, which keeps AMD's processors to AVX2, half of their rate. Its attention in
bfloat16 makes two calls of a matrix product for every 32 queries of each head, which is most of its time where
texts are short. Which routine is taken depends on the processor, the shapes and the types alone, never on a
timing, so that a run repeated on the same machine gives the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

# Scores that are worked on at a time, and at most for one text: 2 MiB of float32 stay in the cache (2**17 to
# 2**20 within 10 %; all at once takes 3 times as long from 128 tokens on). Zen 5, 12 heads of 64, 2048 tokens,
# 2 threads, against scaled_dot_product_attention: 16 tokens 2.2 ms to 3.6, 52 3.8 to 5.4, 256 8.0 to 13, 512 17
# to 25. Beyond 2**22, 590 tokens of 12 heads, its memory, which grows as the square, is not worth it.
AT_A_TIME = 2**19
AT_MOST = 2**22


def fast_kernels() -> AbstractContextManager[object]:
    """Inside, plain tensors on the CPU are computed faster where this processor allows; all else is as ever.

    Only without gradients and autocasting. It holds for the thread that entered it, like `torch.no_grad`:
    threads that this one starts, and the others, compute as before, each has to enter it for itself.
    """
    return _FastKernels() if _suited() else nullcontext()


class _FastKernels(TorchFunctionMode):  # type: ignore[misc]
    """Gives the functions in `FASTER` the call first; None from them means that it is not theirs."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """One call of a torch function; inside, this mode is off."""
        kwargs = kwargs or {}
        faster = FASTER.get(function)
        if faster and not torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu"):
            result = faster(*args, **kwargs)
            if result is not None:
                return result
        return function(*args, **kwargs)


def _linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """(..., in) x (out, in) + (out) -> (..., out)."""
    given = (input, weight) if bias is None else (input, weight, bias)
    if not _plain(given, torch.float32, torch.bfloat16) or input.dim() < 2 or weight.dim() != 2:
        return None
    if input.shape[-1] != weight.shape[1] or (bias is not None and bias.shape != weight.shape[:1]):
        return None  # PyTorch words the error, or broadcasts
    if not (weight.is_contiguous() or weight.t().is_contiguous()):
        return None
    return _product(input.contiguous(), weight, None if bias is None else bias.contiguous())


def _addmm(input: Any, mat1: Any, mat2: Any, **scales: Any) -> Any:
    """(out) + (rows, in) x (in, out) -> (rows, out): what GPT-2 calls for a linear layer."""
    if scales or not _plain((mat1, mat2), torch.float32, torch.bfloat16) or mat2.dim() != 2:
        return None
    return _linear(mat1, mat2.t(), input)


def _attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """(texts, heads, queries, size) x (..., keys, size) x (..., keys, out) -> (texts, heads, queries, out).

    About as near to the exact result as PyTorch's own (errors 1.05 to 1.3 times as large, those of a whole pass
    the same); scores in bfloat16, which has 8 bits, would not be. So what the rounding took away is computed by
    a second product, which is cheap, and the softmax works in float32.
    """
    if not _plain((query, key, value), torch.bfloat16) or not query.dim() == key.dim() == value.dim() == 4:
        return None
    (texts, heads, queries, size), keys = query.shape, key.shape[2]
    shapes = key.shape == (texts, heads, keys, size) and value.shape[:3] == key.shape[:3]
    if not shapes or heads * queries * keys > AT_MOST or dropout_p or enable_gqa:
        return None
    if is_causal:
        if attn_mask is not None:
            return None
        attn_mask = torch.ones(queries, keys, dtype=torch.bool, device="cpu").tril_()
    if attn_mask is not None:
        if not _plain((attn_mask,), torch.bool) and not _plain((attn_mask,), torch.bfloat16, torch.float32):
            return None
        if attn_mask.dim() > 1 and attn_mask.stride(-2) == 0:  # the same for every query: once is enough
            attn_mask = attn_mask[..., :1, :]
        if attn_mask.dtype == torch.bool:
            attn_mask = torch.zeros_like(attn_mask, dtype=torch.float32).masked_fill_(~attn_mask, -torch.inf)
        attn_mask = attn_mask.float()
        blind = attn_mask.amax(-1, keepdim=True) == -torch.inf
        attn_mask = attn_mask.expand(texts, heads, queries, keys)
    flat_query = query.reshape(texts * heads, queries, size)
    flat_key = key.reshape(texts * heads, keys, size).transpose(1, 2)
    flat_value = value.reshape(texts * heads, keys, -1)
    output = query.new_empty(texts * heads, queries, value.shape[3])
    step = max(1, AT_A_TIME // (heads * queries * keys))
    for first in range(0, texts, step):
        part = slice(first * heads, (first + step) * heads)
        rounded = torch.bmm(flat_query[part], flat_key[part])
        scores = rounded.float()
        scores += rounded.baddbmm_(flat_query[part], flat_key[part], beta=-1)
        scores *= size**-0.5 if scale is None else scale
        if attn_mask is not None:
            scores.view(-1, heads, queries, keys).add_(attn_mask[first : first + step])
        torch.bmm(torch.softmax(scores, -1).to(query.dtype), flat_value[part], out=output[part])
    output = output.view(texts, heads, queries, -1)
    if attn_mask is not None and blind.any():
        output.masked_fill_(blind, 0)  # a query that may see nothing: the softmax of nothing is no number
    return output


# By the function that PyTorch would call; each returns None for what it leaves alone.
FASTER: dict[Any, Callable[..., Any]] = {
    F.linear: _linear,
    torch.addmm: _addmm,
    F.scaled_dot_product_attention: _attention,
}


def _plain(tensors: tuple[Any, ...], *dtypes: torch.dtype) -> bool:
    """Whether these are tensors with numbers in the CPU's memory, all of one of these types, and no subclass."""
    return tensors[0].dtype in dtypes and all(
        type(tensor) in (torch.Tensor, torch.nn.Parameter)
        and tensor.dtype == tensors[0].dtype
        and tensor.device.type == "cpu"
        and tensor.layout == torch.strided
        and tensor.numel() > 0
        for tensor in tensors
    )


def _product(input: Any, weight: Any, bias: Any) -> Any:
    """As `_linear`. The routine does not look at the bias's strides (PyTorch 2.13): all must be contiguous."""
    return torch.ops.mkldnn._linear_pointwise(input, weight, bias, "none", [], "")


@cache
def _suited() -> bool:
    """Whether the processor is AMD's with AVX-512 for bfloat16 (Zen 4 on), and this PyTorch has the routine.

    Nothing else was measured. SSE4a is AMD's (and Hygon's) alone; the vendor's name is not among the capabilities.
    """
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if not capabilities.get("sse4a") or not capabilities.get("avx512_bf16"):
        return False
    backends: Any = torch.backends
    if backends.cpu.get_cpu_capability() != "AVX512" or not backends.mkldnn.is_available():
        return False
    sample = torch.arange(12, dtype=torch.float32, device="cpu").view(3, 4)
    try:
        with torch.no_grad():
            found = _product(sample, sample, sample[0, :3])
            return bool(torch.equal(found, F.linear(sample, sample, sample[0, :3])))
    except (AttributeError, RuntimeError, TypeError):  # missing, or with other arguments
        return False
