"""Feature columns of a corpus in memory, block by block, for those who reduce them further and keep little."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from layerscope.engine.ahead import ahead
from layerscope.engine.column_values import NOT_FINITE, ColumnValues, column_values, values
from layerscope.engine.reader import Reader, block_tokens
from layerscope.engine.replicas import Replicas, batch_tokens
from layerscope.engine.supported import check_features
from layerscope.engine.vectors import Passed, nothing
from layerscope.errors import AlignmentError, ModelError
from layerscope.network.memory import Budget
from layerscope.reduce.feature import Feature
from layerscope.reduce.pooling import Array
from layerscope.text.tokens import Tokens

if TYPE_CHECKING:
    from layerscope.corpus.rows import Rows
    from layerscope.network.network import Network

# Rows that a corpus is read in.
ROWS = 4096

# Blocks that are tokenised ahead.
_WAITING = 2


@dataclass(frozen=True, eq=False)
class Streamed:
    """What one block of a corpus gave.

    Attributes:
        rows: its rows.
        tokens: those of each.
        columns: the cells of each feature's columns, by their names.
    """

    rows: Rows
    tokens: list[Tokens]
    columns: dict[str, ColumnValues]

    def values(self, column: str) -> Array:
        """float32 [row, width] of a column of which every row must have a value; not of "tokens" or "words".

        Raises:
            InputError: a row has none; the message says which, and why.
            ModelError: a row's holds NaN or infinity.
        """
        return np.asarray(values({column: self.columns[column]}, "corpus", self.rows.start)[column])

    def words(self, column: str) -> tuple[Array, NDArray[np.bool_]]:
        """float32 [word, hidden] of all words of a column of "words", and bool [word], whether each has a token.

        Raises:
            AlignmentError: the words of a row cannot be placed in its tokens.
            ModelError: a word that has tokens holds NaN or infinity.
        """
        cells = self.columns[column]
        for number, why in sorted(cells.empty.items()):
            error = ModelError if why == NOT_FINITE else AlignmentError
            raise error(f"Row {self.rows.start + number} of the corpus: {column}: {why}")
        there = [len(span) > 0 for tokens in self.tokens for span in tokens.word_spans]
        return np.concatenate(list(cells.values)), np.array(there, dtype=bool)


def stream(
    model: Network,
    rows: Iterable[Rows],
    features: Sequence[Feature],
    *,
    long: str = "window",
    passed: Passed = nothing,
) -> Iterator[Streamed]:
    """The columns of features for these rows, in order, from one pass; only some blocks are in memory at once.

    Args:
        model: what computes them.
        rows: of a corpus; texts may also be `Tokens`, with words of one's own.
        features: what to compute.
        long: what to do with texts longer than the context window: "window", "cut" or "error".
        passed: called with the numbers of texts and tokens after each batch.

    Raises:
        InputError: a row that cannot be run; the message says which, and why.
        ModelError: the model does not give these features.
    """
    check_features(model, features)
    reader = Reader(model, long, "raise", block_tokens(model, features))
    replicas, budget = Replicas(model), Budget(batch_tokens(model))
    with ahead((block for part in rows for block in reader.blocks(part)), _WAITING) as blocks:
        for block in blocks:
            made = column_values(replicas, block.tokens, features, budget, passed)
            yield Streamed(block.rows, block.tokens, made)
