"""Similarity: texts, words or tokens against each other, by the cosine of their vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from layerscope.arguments import checked
from layerscope.errors import InputError, brief, unknown
from layerscope.reduce.cosine import cosine
from layerscope.reduce.finite import check_finite
from layerscope.reduce.pooling import Array
from layerscope.text.encode import list_of_texts
from layerscope.text.tokens import Tokens
from layerscope.trace import Trace

if TYPE_CHECKING:
    import pandas as pd

    from layerscope.model import Model

UNITS = ("text", "word", "token")

# Texts that pass before their vectors are pooled and their traces dropped.
_CHUNK = 256


@checked
def similarity(
    model: Model,
    a: str | Tokens | Iterable[str | Tokens],
    b: str | Tokens | Iterable[str | Tokens] | None = None,
    unit: str = "text",
    layer: int = -1,
    pooling: str = "mean",
) -> pd.DataFrame:
    """The cosine similarity of every unit of `a` with every unit of `b`: higher is closer, at most 1.

    Each text passes through the network once, only as deep as `layer`; then it is one matrix product.

    Args:
        model: the model that gives the vectors.
        a: a text or texts.
        b: what to compare with; None for `a` itself.
        unit: "text" for whole texts; "word" or "token" for those of one text against those of another.
        layer: where to read the vectors.
        pooling: how tokens become the vector of a text or of a word.

    Returns:
        a table with the units of `a` as rows and those of `b` as columns; `layerscope.plots.heat.heat(table, title)`
        draws it with its numbers.

    Raises:
        InputError: several texts where words or tokens were asked for, or an unknown unit or pooling.
        ModelError: the model gives NaN or infinity.

    >>> import layerscope as ls
    >>> table = ls.similarity(ls.load(), ["an apple", "an orange"], "a fruit")
    >>> table.shape
    (2, 1)
    """
    if unit not in UNITS:
        raise unknown("unit", unit, UNITS)
    firsts, seconds = _texts(a, unit), _texts(b, unit) if b is not None else None
    labels, vectors = _vectors(model, firsts, unit, layer, pooling)
    if seconds is None:
        return table(labels, vectors, labels, vectors)
    return table(labels, vectors, *_vectors(model, seconds, unit, layer, pooling))


@checked
def compare(
    model: Model, a: str, b: str, layer: int = -1, pooling: str = "mean"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two texts against each other as wholes, and the words of `a` against those of `b`, in one pass.

    `pooling` makes the texts' vectors; a word's is always the mean of its tokens.

    Returns:
        the table of texts, 2 × 2, and the table of words.
    """
    traces = model.run_many([a, b], layers=layer)
    pooled = np.stack([trace.pool(pooling, layer) for trace in traces])
    (rows, first), (columns, second) = (_units(trace, "word", layer, "mean") for trace in traces)
    return table([a, b], pooled, [a, b], pooled), table(rows, first, columns, second)


def table(rows: Sequence[str], a: Array, columns: Sequence[str], b: Array) -> pd.DataFrame:
    """The cosine of every pair of vectors as a labelled table.

    Raises:
        ModelError: a vector holds NaN or infinity; the message says of what.
    """
    import pandas as pd

    for names, vectors in ((rows, a), (columns, b)):
        check_finite(vectors, (f"The vector of {brief(name)}, number {n}," for n, name in enumerate(names)))
    return pd.DataFrame(cosine(a, b), index=pd.Index(rows), columns=pd.Index(columns))


def _texts(given: str | Tokens | Iterable[str | Tokens], unit: str) -> list[str | Tokens]:
    texts = [given] if isinstance(given, str | Tokens) else list_of_texts(given)
    if not texts:
        raise InputError("There is nothing to compare: the list of texts is empty.")
    if unit != "text" and len(texts) > 1:
        raise InputError(f"Comparing by {unit} takes one text on each side; {len(texts)} were given.")
    if any(isinstance(text, tuple) for text in texts):
        raise InputError("Similarity compares single texts; one of those given is a pair.")
    return texts


def _vectors(
    model: Model, texts: list[str | Tokens], unit: str, layer: int, pooling: str
) -> tuple[list[str], Array]:
    """The labels and vectors of the units: [unit], [unit, hidden]."""
    if unit == "text":
        vectors = []
        for start in range(0, len(texts), _CHUNK):
            traces = model.run_many(texts[start : start + _CHUNK], layers=layer)
            vectors += [trace.pool(pooling, layer) for trace in traces]
        return [text if isinstance(text, str) else text.text for text in texts], np.stack(vectors)
    return _units(model.run(texts[0], layers=layer), unit, layer, pooling)


def _units(trace: Trace, unit: str, layer: int, pooling: str) -> tuple[list[str], Array]:
    """The labels and vectors of the tokens or words of one text."""
    if unit == "token":
        return list(trace.tokens.strings), trace.hidden_state(layer)
    return [word.text for word in trace.tokens.words], trace.word_vectors(layer, pooling)
