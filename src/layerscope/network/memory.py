"""Memory of passes: kept between them, and what to do when there is not enough."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

# How the CPU's allocator and the math libraries put it, in the RuntimeErrors that they raise.
_SAYINGS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "could not create a memory",
    "could not create a primitive",  # oneDNN, for want of room for its scratch pad
)


@dataclass
class Budget:
    """How many tokens pass at once, padding included; halved where they did not fit, and so remembered."""

    tokens: int

    def halve(self, tried: int) -> None:
        """Go below what was tried and did not fit."""
        self.tokens = max(min(self.tokens, tried) // 2, 1)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of a pass says that there was not enough memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(saying in str(error).lower() for saying in _SAYINGS)


# glibc's names for: from how many bytes on memory is asked of the system, and how much freed memory is kept.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1

# What glibc comes to by itself in a process that has freed large blocks. To set a threshold ends that growth for
# good, so that a lower one would make every array of 128 KiB or more slow from then on.
_GROWN = {_MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 64 << 20}

_kept = 0
_lock = threading.Lock()


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep freed memory for the next pass, up to a gigabyte, instead of giving it back to the system each time.

    The temporaries of a pass are large, so that glibc would map, clear and unmap each of them: in bfloat16 up to
    a sixth of the time of a pass on the CPU. It holds for the process; afterwards what is free is given back.
    Elsewhere than on Linux nothing is done.
    """
    global _kept
    library = _glibc()
    if library is None:
        yield
        return
    with _lock:
        _kept += 1
        if _kept == 1:
            library.mallopt(_MMAP_THRESHOLD, 32 << 20)
            library.mallopt(_TRIM_THRESHOLD, 1 << 30)
    try:
        yield
    finally:
        with _lock:
            _kept -= 1
            if _kept == 0:
                for name, value in _GROWN.items():
                    library.mallopt(name, value)
                library.malloc_trim(0)


def give_back() -> None:
    """Give free memory back to the system: what was kept cannot be mapped by those who map their own (oneDNN)."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> Any:
    """The C library, if it is glibc."""
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):
        return None
    return library if hasattr(library, "gnu_get_libc_version") else None
