"""From rows of the corpus to the tables of a part: read, passed through the network, put into columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from layerscope.engine.column_values import ColumnValues, column_values
from layerscope.engine.precision import cast, name_of
from layerscope.engine.reader import Block, Reader
from layerscope.engine.replicas import Replicas
from layerscope.engine.vectors import Asked, Passed, nothing
from layerscope.extraction.table import Columns
from layerscope.loading.recipe import Recipe
from layerscope.network.memory import Budget
from layerscope.reduce.pooling import BUILT_IN, POOLINGS, WEIGHTINGS
from layerscope.text.tokens import Tokens

if TYPE_CHECKING:
    import pyarrow as pa

    from layerscope.network.network import Network


@dataclass(frozen=True, eq=False)
class Extractor:
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

    def values(self, texts: Sequence[Tokens], passed: Passed = nothing) -> dict[str, ColumnValues]:
        """The columns of the features, of texts that fit; `passed` is told of what passes."""
        return column_values(self.replicas, texts, self.columns.features, self.budget, passed)

    def table(self, block: Block, passed: Passed = nothing) -> pa.Table:
        """The table of a block; `passed` is told of texts and tokens as they pass."""
        table = self.columns.table(block.rows, block.read, self.values(block.tokens, passed))
        self.reader.raise_first(block.rows.start, table.column("error").to_pylist())
        return table


@dataclass(frozen=True, eq=False)
class ExtractorRecipe:
    """All that another process needs to have the same extractor; small, whatever the model.

    Attributes:
        recipe: how it gets the model.
        dtype: the precision that it is to run in.
        extractor: without its model.
        poolings, weightings: a user's own functions among the features' strategies, which are unknown elsewhere.
    """

    recipe: Recipe
    dtype: str
    extractor: Extractor
    poolings: Mapping[str, Any]
    weightings: Mapping[str, Any]

    @classmethod
    def of(cls, extractor: Extractor, recipe: Recipe) -> ExtractorRecipe:
        """The recipe of an extractor; `recipe` is that of its model as it was loaded."""
        names = {feature.pooling for feature in extractor.columns.features} - BUILT_IN
        nobody: Any = None
        return cls(
            recipe,
            name_of(extractor.model),
            replace(extractor, reader=replace(extractor.reader, model=nobody), replicas=nobody),
            {name: POOLINGS[name] for name in names & POOLINGS.keys()},
            {name: WEIGHTINGS[name] for name in names & WEIGHTINGS.keys()},
        )

    def make(self, device: str = "auto") -> Extractor:
        """The extractor, its model loaded and proven to be the same.

        Raises:
            LayerscopeError: the model cannot be loaded here, or is another.
        """
        for known, sent in ((POOLINGS, self.poolings), (WEIGHTINGS, self.weightings)):
            known.update({name: function for name, function in sent.items() if name not in known})
        model = cast(self.recipe.load(device), self.dtype)
        reader, budget = replace(self.extractor.reader, model=model), replace(self.extractor.budget)
        return replace(self.extractor, reader=reader, replicas=Replicas(model), budget=budget)
