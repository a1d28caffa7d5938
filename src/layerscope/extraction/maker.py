"""From rows of the corpus to rows of features: read, passed through the network, put into a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerscope.errors import InputError
from layerscope.extraction.cells import Cells, cells
from layerscope.extraction.table import Columns, Read
from layerscope.extraction.vectors import Asked, Passed, nothing
from layerscope.extraction.workers import Workers
from layerscope.network import fitting
from layerscope.network.memory import Budget, kept_memory
from layerscope.network.windows import windows
from layerscope.text.encode import Text, check_text, encode
from layerscope.text.tokens import Tokens

if TYPE_CHECKING:
    import pyarrow as pa

    from layerscope.corpus.rows import Rows
    from layerscope.model import Model

# Rows that are tokenised together.
_ROWS = 256

# Tokens in which rows are sorted by length: enough for batches of like lengths, and a row group of its own.
_LOOK_AHEAD = 1 << 17

# Bytes of states of single tokens that are held at once.
_STATES = 1 << 28


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive rows that are sorted by length together, and what was read of each."""

    rows: Rows
    read: list[Read]


@dataclass(frozen=True, eq=False)
class Maker:
    """What turns rows into a table, always in the same way: blocks and batches depend on the part's rows alone.

    Attributes:
        workers: the model in the precision that it is to run in, and those who share its work.
        columns: what to make.
        long: what to do with texts that do not fit the context window.
        on_error: "row", or "raise" at the first row that has an error.
        budget: tokens a batch.
    """

    workers: Workers
    columns: Columns
    long: str
    on_error: str
    budget: Budget

    @property
    def model(self) -> Model:
        """The model, in the precision that it runs in."""
        return self.workers.model

    @property
    def block_tokens(self) -> int:
        """Tokens a block: as many as are sorted together, or of which the states can be held."""
        layers = len(Asked.by(self.columns.features, self.model.num_layers).whole)
        states = 4 * self.model.hidden_size * layers
        return min(_LOOK_AHEAD, max(_STATES // states, 1)) if layers else _LOOK_AHEAD

    @property
    def block_bytes(self) -> int:
        """About what a block takes: the states of its tokens, or the vectors of a text of 32 tokens each."""
        layers = len(Asked.by(self.columns.features, self.model.num_layers).whole)
        vectors = sum(self.columns.widths.values()) // 32
        return 4 * self.block_tokens * max(self.model.hidden_size * layers, vectors)

    def blocks(self, rows: Rows) -> Iterator[Block]:
        """The rows of a part, tokenised, in blocks."""
        most = self.block_tokens
        first, read, size = 0, list[Read](), 0
        for start in range(0, len(rows), _ROWS):
            for row in self.read(rows.part(start, _ROWS)):
                length = 0 if row.tokens is None else len(row.tokens)
                if read and size + length > most:
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

    def cells(self, read: Sequence[Read], passed: Passed = nothing) -> dict[str, Cells]:
        """The columns of the features, of those rows that have tokens; `passed` is told of what passes."""
        texts = [row.tokens for row in read if row.tokens is not None]
        with kept_memory():
            return cells(self.workers, texts, self.columns.features, self.budget, passed)

    def table(self, block: Block, passed: Passed = nothing) -> pa.Table:
        """The table of a block; `passed` is told of texts and tokens as they pass."""
        table = self.columns.table(block.rows, block.read, self.cells(block.read, passed))
        if self.on_error == "raise":
            self._raise_first(block.rows.start, table.column("error").to_pylist())
        return table

    def _error(self, number: int, why: str) -> Read:
        self._raise_first(number, [why])
        return Read(None, error=why)

    def _raise_first(self, start: int, errors: Sequence[str | None]) -> None:
        if self.on_error != "raise":
            return
        for number, why in enumerate(errors, start):
            if why is not None:
                raise InputError(f"Row {number} of the corpus: {why}")
