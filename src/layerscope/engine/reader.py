"""From rows of a corpus to texts that are tokenised and fit the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from layerscope.engine.vectors import Asked
from layerscope.errors import InputError
from layerscope.network import fitting
from layerscope.network.network import Network
from layerscope.network.windows import windows
from layerscope.reduce.feature import Feature
from layerscope.text.encode import Text, check_text, encode
from layerscope.text.tokens import Tokens

if TYPE_CHECKING:
    from layerscope.corpus.rows import Rows

# Rows that are tokenised together.
_ROWS = 256

# Tokens in which rows are sorted by length: enough for batches of like lengths, and a row group of its own.
_LOOK_AHEAD = 1 << 17

# Bytes of states of single tokens that are held at once.
_STATES = 1 << 28


@dataclass(frozen=True, eq=False)
class Read:
    """A row of the corpus as it was read: its tokens, fit for the network, or why there are none."""

    tokens: Tokens | None
    num_windows: int = 0
    error: str | None = None


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive rows that are sorted by length together, and what was read of each."""

    rows: Rows
    read: list[Read]

    @property
    def tokens(self) -> list[Tokens]:
        """Those of the rows that have some."""
        return [row.tokens for row in self.read if row.tokens is not None]


@dataclass(frozen=True, eq=False)
class Reader:
    """What reads rows, always in the same way: the blocks depend on the rows alone.

    Attributes:
        model: what they are to fit.
        long: what to do with texts that do not fit the context window.
        on_error: "row", or "raise" at the first row that has an error.
        block_tokens: tokens a block, at the most; of a row that has more, all.
        failed: rows that are not to be read, by their numbers, with the errors that they have.
    """

    model: Network
    long: str
    on_error: str
    block_tokens: int = _LOOK_AHEAD
    failed: Mapping[int, str] = field(default_factory=dict)

    def blocks(self, rows: Rows) -> Iterator[Block]:
        """The rows of a part, tokenised, in blocks."""
        first, read, size = 0, list[Read](), 0
        for start in range(0, len(rows), _ROWS):
            for row in self.read(rows.part(start, _ROWS)):
                length = 0 if row.tokens is None else len(row.tokens)
                if read and size + length > self.block_tokens:
                    yield Block(rows.part(first, len(read)), read)
                    first, read, size = first + len(read), [], 0
                read.append(row)
                size += length
        if read:
            yield Block(rows.part(first, len(read)), read)

    def read(self, rows: Rows) -> list[Read]:
        """Each row tokenised and fit for the network, or the error that it has."""
        pairs = rows.pairs if rows.pairs is not None else [None] * len(rows)
        read: list[Read | None] = [None] * len(rows)
        good: list[Text] = []
        numbers = []
        for number, (text, pair) in enumerate(zip(rows.texts, pairs, strict=True)):
            given = text if rows.pairs is None else (text, pair)
            if rows.start + number in self.failed:
                read[number] = self._error(rows.start + number, self.failed[rows.start + number])
                continue
            try:
                if not isinstance(given, Tokens):
                    check_text(given, "The text")
            except InputError as error:
                read[number] = self._error(rows.start + number, str(error))
                continue
            good.append(given)
            numbers.append(number)
        for number, tokens in zip(numbers, encode(self.model.vocabulary, good), strict=True):
            try:
                fitted = fitting.fitted(self.model, tokens, self.long)
                if not len(fitted):
                    raise InputError("The text has no tokens, so there is nothing to run.")
                pieces = windows(fitted, self.model.context_window, causal=self.model.kind == "decoder")
                read[number] = Read(fitted, len(pieces))
            except InputError as error:
                read[number] = self._error(rows.start + number, str(error))
        return [row for row in read if row is not None]

    def raise_first(self, start: int, errors: Sequence[str | None]) -> None:
        """Raise the first of the errors of rows from `start` on, if errors are to be raised."""
        if self.on_error != "raise":
            return
        for number, why in enumerate(errors, start):
            if why is not None:
                raise InputError(f"Row {number} of the corpus: {why}")

    def _error(self, number: int, why: str) -> Read:
        self.raise_first(number, [why])
        return Read(None, error=why)


def block_tokens(model: Network, features: Sequence[Feature]) -> int:
    """Tokens a block: as many as are sorted together, or of which the states that the features need can be held."""
    layers = len(Asked.by(features, model.num_layers).whole)
    return min(_LOOK_AHEAD, max(_STATES // (4 * model.hidden_size * layers), 1)) if layers else _LOOK_AHEAD
