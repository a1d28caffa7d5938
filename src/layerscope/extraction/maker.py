"""From rows of the corpus to the tables of a part: read, passed through the network, put into columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerscope.engine.cells import Cells, cells
from layerscope.engine.reader import Block, Reader
from layerscope.engine.replicas import Replicas
from layerscope.engine.vectors import Asked, Passed, nothing
from layerscope.extraction.table import Columns
from layerscope.network.memory import Budget
from layerscope.text.tokens import Tokens

if TYPE_CHECKING:
    import pyarrow as pa

    from layerscope.network.network import Network


@dataclass(frozen=True, eq=False)
class Maker:
    """What turns rows into a table, always in the same way: blocks and batches depend on the part's rows alone.

    Attributes:
        reader: what reads them.
        replicas: the model in the precision that it is to run in, and those who share its work.
        columns: what to make.
        budget: tokens a batch.
    """

    reader: Reader
    replicas: Replicas
    columns: Columns
    budget: Budget

    @property
    def model(self) -> Network:
        """The model, in the precision that it runs in."""
        return self.replicas.model

    @property
    def block_bytes(self) -> int:
        """About what a block takes: the states of its tokens, or the vectors of a text of 32 tokens each."""
        layers = len(Asked.by(self.columns.features, self.model.num_layers).whole)
        vectors = sum(self.columns.widths.values()) // 32
        return 4 * self.reader.block_tokens * max(self.model.hidden_size * layers, vectors)

    def cells(self, texts: Sequence[Tokens], passed: Passed = nothing) -> dict[str, Cells]:
        """The columns of the features, of texts that fit; `passed` is told of what passes."""
        return cells(self.replicas, texts, self.columns.features, self.budget, passed)

    def table(self, block: Block, passed: Passed = nothing) -> pa.Table:
        """The table of a block; `passed` is told of texts and tokens as they pass."""
        table = self.columns.table(block.rows, block.read, self.cells(block.tokens, passed))
        self.reader.raise_first(block.rows.start, table.column("error").to_pylist())
        return table
