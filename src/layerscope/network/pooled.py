"""Pooling where the states pass, so that of each layer only pooled vectors leave the network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from layerscope.network.batching import Item
from layerscope.reduce.pooling import MAX, WEIGHTINGS, Array


class Pool:
    """The pooling of a batch by several strategies at once, weighted sums first and the maximum last.

    A text that passes in several windows gets from each its share, of the tokens that the window owns: the
    shares of a weighted sum are to be added, of the maximum the largest is to be taken.
    """

    def __init__(self, batch: Sequence[Item], poolings: Sequence[str]) -> None:
        """Of items, by strategies that are in `WEIGHTINGS`, or MAX."""
        self.names = sorted(poolings, key=lambda name: (name == MAX, name))
        size = max(len(item.window) for item in batch)
        weighted = [name for name in self.names if name != MAX]
        self._weights = torch.from_numpy(_weights(batch, weighted, size)) if weighted else None
        self._outside = torch.from_numpy(_outside(batch, size)) if MAX in self.names else None

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """float32 [text, strategy, hidden] of states [text, token, hidden] in any precision."""
        states = states.float()
        found = []
        if self._weights is not None:
            self._weights = self._weights.to(states.device)
            found.append(torch.bmm(self._weights, states))
        if self._outside is not None:
            self._outside = self._outside.to(states.device)
            inside = states.masked_fill(self._outside[:, :, None], -torch.inf)
            found.append(inside.amax(dim=1, keepdim=True))
        return torch.cat(found, dim=1)


def _weights(batch: Sequence[Item], names: Sequence[str], size: int) -> Array:
    """float32 [text, strategy, token], 0 for padding and for tokens that another window owns."""
    weights = np.zeros((len(batch), len(names), size), dtype=np.float32)
    for number, item in enumerate(batch):
        window, tokens = item.window, item.tokens
        for place, name in enumerate(names):
            own = WEIGHTINGS[name](len(tokens), tokens)[window.positions] * window.owned
            weights[number, place, : len(window)] = own
    return weights


def _outside(batch: Sequence[Item], size: int) -> Array:
    """bool [text, token]: padding, and tokens that another window owns."""
    outside = np.ones((len(batch), size), dtype=bool)
    for number, item in enumerate(batch):
        outside[number, : len(item.window)] = ~item.window.owned
    return outside
