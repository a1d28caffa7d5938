"""Where a network is put, and in which type of number."""

from __future__ import annotations

from typing import Any

from layerscope.errors import CheckpointError, InputError, unknown

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("float32", "float16", "bfloat16", "auto")


def as_dtype(dtype: Any) -> Any:
    """The torch dtype of a name in `DTYPES`, or "auto"; a torch dtype for floating point stays what it is.

    Raises:
        InputError: there is no such type, or it holds no fractions.
    """
    import torch

    known = getattr(torch, dtype) if dtype in DTYPES[:-1] else dtype
    if known == "auto" or (isinstance(known, torch.dtype) and known.is_floating_point):
        return known
    raise unknown("dtype", dtype, DTYPES)


def as_device(device: Any) -> Any:
    """The torch device of a name; "auto" is cuda where there is one, then mps, then cpu.

    Raises:
        InputError: there is no such device, or this machine or this build of torch has none.
    """
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise unknown("device", device, DEVICES) from error
    try:
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"There is no device {device} here that torch {torch.__version__} can use; device='auto' takes "
            "what there is."
        ) from error
    return chosen


def moved(hf: Any, device: Any, name: str) -> Any:
    """A network, put on a device. (Some quantised ones cannot even be moved to where they are.)

    Raises:
        CheckpointError: it does not fit, or cannot be moved.
    """
    if hf.device.type == device.type and device.index in (None, hf.device.index):
        return hf
    try:
        return hf.to(device)
    except Exception as error:
        raise CheckpointError(
            f"{name} could not be put on {device}: {error}. A smaller dtype, device='cpu' or a device_map "
            "may help."
        ) from error
