"""Batches: windows of like length together, as many as a budget of tokens allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from layerscope.network.windows import Window
from layerscope.text.tokens import Tokens

# Tokens a batch, padding included: enough to keep the matrix products busy, small enough for any machine.
BATCH_TOKENS = 4096

# Of a budget of so few tokens, every item is a batch of its own.
ALONE = 1


@dataclass(frozen=True, eq=False)
class Item:
    """One window of one text, ready to run.

    Attributes:
        text: the number of the text among those given.
        tokens: all tokens of the text.
        window: which of them pass together.
        target: what the decoder reads, for encoder-decoders.
    """

    text: int
    tokens: Tokens
    window: Window
    target: Tokens | None = None

    @property
    def length(self) -> int:
        """How many positions have outputs: of an encoder-decoder's, those of its decoder."""
        return len(self.window if self.target is None else self.target)

    def beginning(self, length: int) -> Item:
        """The same with the first so many of those positions alone."""
        if self.target is not None:
            return replace(self, target=self.target.keep(np.arange(length)))
        return replace(self, window=Window(self.window.positions[:length], self.window.owned[:length]))

    @property
    def size(self) -> int:
        """How many tokens pass through the network, on its longer side."""
        return max(len(self.window), len(self.target) if self.target is not None else 0)


def batches(items: Sequence[Item], batch_tokens: int = BATCH_TOKENS) -> Iterator[list[Item]]:
    """Batches of items sorted by length, longest first, each of at most `batch_tokens` with its padding.

    An item longer than the budget is a batch of its own.
    """
    batch: list[Item] = []
    for item in sorted(items, key=lambda item: -item.size):
        if batch and batch[0].size * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


def padded(rows: Sequence[NDArray[np.int64]], fill: int) -> NDArray[np.int64]:
    """Rows of different lengths as one matrix, filled on the right.

    On the right whatever side the tokenizer pads on: positions then count from the first token for every
    model, and a causal model's tokens never see what follows them.
    """
    matrix = np.full((len(rows), max(map(len, rows))), fill, dtype=np.int64)
    for number, row in enumerate(rows):
        matrix[number, : len(row)] = row
    return matrix
