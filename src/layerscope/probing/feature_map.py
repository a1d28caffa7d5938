"""Features as columns of somebody else's batches: `Dataset.map(…, batched=True)` and Ray's `map_batches`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from layerscope.arguments import check, checked
from layerscope.corpus.rows import Rows
from layerscope.engine.column_values import values
from layerscope.engine.precision import cast
from layerscope.engine.reader import Reader, block_tokens
from layerscope.engine.replicas import Replicas, batch_tokens
from layerscope.engine.supported import check_features
from layerscope.errors import InputError, unknown
from layerscope.extraction.extractor import Extractor, ExtractorRecipe
from layerscope.extraction.settings import Settings
from layerscope.extraction.table import Columns
from layerscope.loading.checkpoint import load
from layerscope.loading.recipe import Recipe
from layerscope.network.memory import Budget
from layerscope.reduce.feature import Feature

if TYPE_CHECKING:
    from layerscope.model import Model


class FeatureMap:
    """A callable from a batch of columns to the same with columns of features.

    >>> import layerscope as ls
    >>> from datasets import Dataset
    >>> texts = Dataset.from_dict({"text": ["Seeing is believing.", "A ghost."]})
    >>> encoded = texts.map(ls.FeatureMap(ls.load(), ["cls@-1"]), batched=True)  # doctest: +ELLIPSIS
    >>> len(encoded[0]["cls_6"])
    384

    For Ray: `dataset.map_batches(ls.FeatureMap, fn_constructor_args=("MODEL", ["cls@-1"]), concurrency=2)`.

    It can be pickled: the other process loads the model itself and proves that it is the same.

    Args:
        model: a model, or what `layerscope.load` takes.
        features: what to compute, as for `extract`.
        text: the column of texts.
        pair: the column of second texts.
        dtype: the precision that the network runs in, as it was loaded if left out; not "auto", since there is no
            corpus to check it on.
        long: what to do with texts longer than the context window.

    Raises:
        InputError, ModelError: as `extract`; and when called, a row that fails, since a batch has no place for errors.
    """

    @checked
    def __init__(
        self,
        model: Model | str | Path,
        features: str | Feature | Sequence[str | Feature] = ("mean@-1",),
        *,
        text: str = "text",
        pair: str | None = None,
        dtype: str | None = None,
        long: str = "window",
    ) -> None:
        if not isinstance(model, str | Path):
            check("model", model, "Model")
        columns = {"text": text, "pair": pair}
        self._settings = Settings.of(features, columns, dtype=dtype, long=long, on_error="raise")
        if dtype == "auto":
            raise InputError(
                "dtype='auto' is checked on a corpus, which a map does not see; name a precision."
            )
        self._model: Model | None = load(model) if isinstance(model, str | Path) else model
        self._recipe: ExtractorRecipe | None = None
        self._extractor: Extractor | None = self._made(self._model)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The batch's columns, and float32 [row, width] for each feature; of "tokens" and "words" a list of arrays.

        Raises:
            InputError: it has no such columns, or a row fails.
        """
        columns = self._settings.columns
        if not isinstance(batch, Mapping):
            raise InputError(
                f"A batch is a mapping of columns, not {type(batch).__name__}: use map(…, batched=True), or "
                "map_batches with the batch format numpy."
            )
        for name in (columns["text"], columns["pair"]):
            if name is not None and name not in batch:
                raise unknown("column", name, batch)
        extractor = self._ready()
        taken = sorted(extractor.columns.widths.keys() & set(batch))
        if taken:
            raise InputError(
                f"The batch has a column {taken[0]!r}, which is the name of a feature's: rename it, or leave it out."
            )
        # Lists in place of iterators, which are used up by being read.
        batch = {name: list(one) if isinstance(one, Iterator) else one for name, one in batch.items()}
        texts = list(batch[columns["text"]])
        pairs = None if columns["pair"] is None else list(batch[columns["pair"]])
        read = extractor.reader.read(Rows.of(texts, pairs))
        made = extractor.values([row.tokens for row in read if row.tokens is not None])
        return {**batch, **values(made, "batch")}

    def _made(self, model: Model) -> Extractor:
        asked = self._settings
        check_features(model, asked.features)
        has_pairs = asked.columns["pair"] is not None
        columns = Columns.of(model, asked.features, pa.schema([]), has_pairs, asked.column_dtype)
        reader = Reader(model, asked.long, asked.on_error, block_tokens(model, asked.features))
        return Extractor(reader, Replicas(cast(model, asked.dtype)), columns, Budget(batch_tokens(model)))

    def _ready(self) -> Extractor:
        """What makes the columns; in a process that was sent this, the model is loaded at the first batch."""
        if self._extractor is None:
            assert self._recipe is not None
            self._extractor = self._recipe.make()
        return self._extractor

    def __getstate__(self) -> dict[str, Any]:
        if self._recipe is None:
            assert self._model is not None
            assert self._extractor is not None
            self._recipe = ExtractorRecipe.of(self._extractor, Recipe.of(self._model))
        return {"_settings": self._settings, "_recipe": self._recipe, "_model": None, "_extractor": None}
