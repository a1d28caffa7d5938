"""Memory that a pass could not have: how each device says so, and the budget that is halved then."""

from __future__ import annotations

from dataclasses import dataclass

import torch

# How the CPU's allocator and the math libraries put it, in the RuntimeErrors that they raise.
_SAYINGS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "could not create a memory",
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
