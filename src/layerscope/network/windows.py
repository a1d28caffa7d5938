"""Texts longer than the context window: overlapping windows, or a cut that is said, or an error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import InputError, unknown
from layerscope.text.tokens import Tokens

LONG = ("window", "cut", "error")

# A quarter of each window is shared with the next, so that away from the ends of the text every token is
# read with at least an eighth of a window of context on either side (a decoder: a quarter before it).
OVERLAP = 4

Positions = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Window:
    """The tokens of a text that pass through the network together, special tokens included.

    Attributes:
        positions: int64 [position], which tokens of the text.
        owned: bool [position], those whose results are taken from this window.
    """

    positions: Positions
    owned: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.positions)


def fit(tokens: Tokens, size: int | None, long: str, what: str = "text") -> Tokens:
    """The tokens that will be run: cut to the context window if that was asked for. `what` they are: text, or target.

    Raises:
        InputError: the text does not fit, and neither windows nor a cut were asked for, or windows for
            a pair, which has no meaning; the message gives both lengths.
    """
    if long not in LONG:
        raise unknown("way with long texts", long, LONG)
    if size is None or len(tokens) <= size:
        return tokens
    if long == "cut":
        return cut(tokens, size)
    length = (
        f"The {what} has {len(tokens)} tokens, special ones included, and the model's context window {size}."
    )
    if long == "error":
        ways = "long='window' or long='cut'" if what == "text" else "long='cut'"
        raise InputError(f"{length} Shorten it, or give {ways}.")
    if tokens.pair is not None:
        raise InputError(f"{length} A pair cannot be read in windows: shorten it, or give long='cut'.")
    return tokens


def cut(tokens: Tokens, size: int) -> Tokens:
    """The first tokens that fit, with the template's special tokens; of a pair the longer text gives way first."""
    first, second = (int((tokens.sequence == number).sum()) for number in (0, 1))
    capacity = _capacity(tokens, size)
    half = capacity // 2
    if first + second > capacity:
        second = min(second, max(capacity - first, half))
        first = min(first, capacity - second)
    lengths = (first, second)
    keep = tokens.special_mask.copy()
    for number, length in enumerate(lengths):
        keep[np.flatnonzero(tokens.sequence == number)[:length]] = True
    return tokens.keep(np.flatnonzero(keep))


def windows(tokens: Tokens, size: int | None, causal: bool) -> list[Window]:
    """Overlapping windows over a text, each with the template's special tokens.

    Each token is owned by the window in which it has most context: on its scarcer side, or, for a causal
    model, before it. The special tokens before the text are owned by the first window, those behind it
    by the last.
    """
    count = len(tokens)
    if size is None or count <= size:
        return [Window(np.arange(count), np.ones(count, dtype=bool))]
    capacity = _capacity(tokens, size)
    content = np.flatnonzero(~tokens.special_mask)
    before, behind = np.arange(content[0]), np.arange(content[-1] + 1, count)
    starts = _starts(len(content), capacity)
    owner = _owners(len(content), starts, capacity, causal)
    found = []
    for number, start in enumerate(starts):
        inside = np.arange(start, start + capacity)
        owned = [
            np.full(len(before), number == 0),
            owner[inside] == number,
            np.full(len(behind), number == len(starts) - 1),
        ]
        found.append(Window(np.concatenate([before, content[inside], behind]), np.concatenate(owned)))
    return found


def _capacity(tokens: Tokens, size: int) -> int:
    """How many tokens of a text fit beside the special ones."""
    special = int(tokens.special_mask.sum())
    if special >= size:
        raise InputError(
            f"The template's {special} special tokens leave no room for text in a window of {size}."
        )
    return size - special


def _starts(count: int, capacity: int) -> list[int]:
    """Where the windows begin; the last one is moved back so that it is full."""
    stride = max(capacity - capacity // OVERLAP, 1)
    starts = list(range(0, count - capacity, stride))
    return [*starts, count - capacity]


def _owners(count: int, starts: list[int], capacity: int, causal: bool) -> Positions:
    """For each token the window in which it has most context; the edges of the text cost none."""
    owner = np.zeros(count, dtype=np.int64)
    most = np.full(count, -1.0)
    for number, start in enumerate(starts):
        place = np.arange(capacity, dtype=np.float64)
        before = place if start > 0 else np.full(capacity, np.inf)
        behind = capacity - 1 - place if start + capacity < count else np.full(capacity, np.inf)
        context = before if causal else np.minimum(before, behind)
        inside = slice(start, start + capacity)
        better = context > most[inside]
        owner[inside][better] = number
        most[inside][better] = context[better]
    return owner
