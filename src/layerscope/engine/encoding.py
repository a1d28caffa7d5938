"""Texts as vectors: the features of a list of texts as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from layerscope.corpus.rows import Rows
from layerscope.engine.column_values import column_values, values
from layerscope.engine.precision import settled
from layerscope.engine.reader import Reader, block_tokens
from layerscope.engine.replicas import Replicas, batch_tokens
from layerscope.engine.supported import check_features
from layerscope.errors import InputError
from layerscope.network.memory import Budget
from layerscope.network.network import Network
from layerscope.progress import shown
from layerscope.reduce.feature import Feature
from layerscope.reduce.pooling import UNPOOLED, Array
from layerscope.text.encode import Text

# Texts that are read together.
_ROWS = 4096


def encode(
    model: Network,
    texts: Iterable[Text],
    features: Sequence[Feature],
    *,
    dtype: str | None = None,
    long: str = "window",
    progress: bool | None = None,
) -> list[Array]:
    """For each feature float32 [text, width], or [text, layer, width] of several layers. See `Model.encode`."""
    for feature in features:
        if feature.pooling in UNPOOLED:
            raise InputError(
                f"{feature} gives no one vector a text; use trace.word_vectors(layer), or extract to keep them all."
            )
    check_features(model, features)
    reader = Reader(model, long, "raise", block_tokens(model, features))
    budget = Budget(batch_tokens(model))
    names = [feature.columns(model.num_layers) for feature in features]
    made: dict[str, list[Array]] = {name: [] for own in names for name in own}
    replicas = None
    with shown(progress, len(texts) if isinstance(texts, Sequence) else None, what="Encoding") as bar:
        for rows in _in_rows(texts):
            if replicas is None:
                replicas = Replicas(settled(model, dtype, rows, reader, features, budget)[0])
            for block in reader.blocks(rows):
                own = column_values(replicas, block.tokens, features, budget, bar.passed)
                for name, vectors in values(own, "texts", block.rows.start).items():
                    made[name].append(np.asarray(vectors))
    return [
        _together([made[name] for name in own], feature.width(model.num_layers, model.hidden_size))
        for feature, own in zip(features, names, strict=True)
    ]


def _in_rows(texts: Iterable[Text]) -> Iterator[Rows]:
    rest, start = iter(texts), 0
    while own := list(islice(rest, _ROWS)):
        yield Rows.of(own, start=start)
        start += len(own)


def _together(columns: list[list[Array]], width: int) -> Array:
    """The blocks of each column one below the other, several columns side by side."""
    whole = [np.concatenate(blocks) if blocks else np.empty((0, width), np.float32) for blocks in columns]
    return whole[0] if len(whole) == 1 else np.stack(whole, axis=1)
