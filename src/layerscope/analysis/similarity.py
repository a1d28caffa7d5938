"""Similarity: texts, words or tokens against each other, by the cosine of their vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from layerscope.arguments import checked
from layerscope.errors import InputError, brief, unknown
from layerscope.reduce.cosine import cosine
from layerscope.reduce.feature import Feature
from layerscope.reduce.finite import check_finite
from layerscope.reduce.layers import resolve_layer
from layerscope.reduce.pooling import Array
from layerscope.result import Result
from layerscope.shown import counted, last_part, shorten
from layerscope.text.encode import list_of_texts
from layerscope.text.tokens import Tokens
from layerscope.trace import Trace

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from layerscope.model import Model

UNITS = ("text", "word", "token")

# What vectors are of, [n], and they themselves, [n, hidden].
Labelled = tuple[Sequence[str], Array]

# Letters of a text in a title.
_TITLE = 60


@dataclass(frozen=True, eq=False, repr=False)
class Similarity(Result):
    """The cosine of every unit of some texts with every unit of others.

    Attributes:
        model: the model's name.
        unit: "text", "word" or "token".
        layer: where the vectors were read, from 0.
        pooling: how tokens became the vector of a text or word.
        rows, columns: what was compared with what.
        cosines: float32 [row, column]; higher is closer, at most 1.
    """

    model: str
    unit: str
    layer: int
    pooling: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cosines: Array

    def table(self) -> pd.DataFrame:
        """[row, column]: the cosines, labelled."""
        import pandas as pd

        return pd.DataFrame(self.cosines, index=pd.Index(self.rows), columns=pd.Index(self.columns))

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        about = {"model": self.model, "unit": self.unit, "layer": self.layer, "pooling": self.pooling}
        cosines = {"rows": list(self.rows), "columns": list(self.columns), "values": self.cosines.tolist()}
        return about | cosines

    @checked
    def plot(self, ax: Axes | None = None) -> Axes:
        """A heat map with its numbers.

        Raises:
            InputError: there are more rows or columns than can be read in one figure.
        """
        from layerscope.plots.heat import heat

        title = f"{last_part(self.model)}: {self.unit}s, layer {self.layer}, {self.pooling} pooling"
        return heat(self.table(), title, ax)

    def _holds(self) -> str:
        size = f"{len(self.rows):,} × {counted(len(self.columns), self.unit)}"
        return f"cosines of {size}, layer {self.layer} of {last_part(self.model)}, {self.pooling} pooling"


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Result):
    """Two texts against each other: as wholes, and word by word.

    Attributes:
        a, b: the texts.
        texts: both against both.
        words: those of `a` against those of `b`.
    """

    a: str
    b: str
    texts: Similarity
    words: Similarity

    @property
    def cosine(self) -> float:
        """The cosine of the two texts."""
        return float(self.texts.cosines[0, 1])

    def table(self) -> pd.DataFrame:
        """[word of a, word of b]: the cosines of the words."""
        return self.words.table()

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {"a": self.a, "b": self.b, "texts": self.texts.to_dict(), "words": self.words.to_dict()}

    @checked
    def plot(self, ax: Axes | None = None) -> Axes:
        """The words of `a` (down) against those of `b` (across), with their cosines; in the title that of the texts.

        Raises:
            InputError: there are more words than can be read in one figure.
        """
        from layerscope.plots.heat import heat

        a, b = (shorten(" ".join(text.split()), _TITLE) for text in (self.a, self.b))
        title = f"“{a}” and “{b}”: {self.cosine:.2f}; layer {self.texts.layer}, {self.texts.pooling} pooling"
        return heat(self.words.table(), title, ax)

    _calls = ".cosine, .texts, .words, .table(), .plot()"

    def _holds(self) -> str:
        words = f"{len(self.words.rows):,} × {counted(len(self.words.columns), 'word')}"
        return (
            f"the texts {self.cosine:.3f}; {words}; layer {self.texts.layer} of {last_part(self.texts.model)}"
        )


@checked
def similarity(
    model: Model,
    a: str | Tokens | Iterable[str | Tokens],
    b: str | Tokens | Iterable[str | Tokens] | None = None,
    unit: str = "text",
    layer: int = -1,
    pooling: str = "mean",
    progress: bool | None = None,
) -> Similarity:
    """The cosine similarity of every unit of `a` with every unit of `b`: higher is closer, at most 1.

    Each text passes through the network once, only as deep as `layer` (`Model.encode`); then it is one matrix product.

    Args:
        model: the model that gives the vectors.
        a: a text or texts.
        b: what to compare with; None for `a` itself.
        unit: "text" for whole texts; "word" or "token" for those of one text against those of another.
        layer: where to read the vectors.
        pooling: how tokens become the vector of a text or of a word.
        progress: show a bar on stderr; if left out, when that is a terminal or a notebook.

    Raises:
        InputError: several texts where words or tokens were asked for, or an unknown unit or pooling.
        ModelError: the model gives NaN or infinity.

    >>> import layerscope as ls
    >>> ls.similarity(ls.load(), ["an apple", "a stone"], "a fruit").table().round(2)
              a fruit
    an apple     0.65
    a stone      0.43
    """
    if unit not in UNITS:
        raise unknown("unit", unit, UNITS)
    firsts, seconds = _texts(a, unit), _texts(b, unit) if b is not None else None
    first = _vectors(model, firsts, unit, layer, pooling, progress)
    second = first if seconds is None else _vectors(model, seconds, unit, layer, pooling, progress)
    return _similarity(model, unit, layer, pooling, first, second)


@checked
def compare(model: Model, a: str, b: str, layer: int = -1, pooling: str = "mean") -> Comparison:
    """Two texts against each other as wholes, and the words of `a` against those of `b`, in one pass.

    Args:
        model: the model that gives the vectors.
        a, b: the texts.
        layer: where to read the vectors.
        pooling: how tokens become the vector of a text; a word's is always the mean of its tokens.

    Raises:
        InputError: a text that cannot be run, or an unknown pooling.
        ModelError: the model gives NaN or infinity.

    >>> import layerscope as ls
    >>> found = ls.compare(ls.load(), "a river bank", "the bank of a river")
    >>> found.table().loc["bank", ["bank", "of"]].round(1)
    bank    1.0
    of      0.5
    Name: bank, dtype: float32
    """
    traces = model.run_many([a, b], layers=layer)
    pooled = np.stack([trace.pool(pooling, layer) for trace in traces])
    first, second = (_units(trace, "word", layer, "mean") for trace in traces)
    both = ([a, b], pooled)
    return Comparison(
        a,
        b,
        _similarity(model, "text", layer, pooling, both, both),
        _similarity(model, "word", layer, "mean", first, second),
    )


def _similarity(model: Model, unit: str, layer: int, pooling: str, a: Labelled, b: Labelled) -> Similarity:
    """The cosine of every pair of vectors.

    Raises:
        ModelError: a vector holds NaN or infinity; the message says of what.
    """
    for names, vectors in (a, b):
        check_finite(vectors, (f"The vector of {brief(name)}, number {n}," for n, name in enumerate(names)))
    number = resolve_layer(layer, model.num_layers)
    return Similarity(model.name, unit, number, pooling, tuple(a[0]), tuple(b[0]), cosine(a[1], b[1]))


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
    model: Model, texts: list[str | Tokens], unit: str, layer: int, pooling: str, progress: bool | None
) -> Labelled:
    """The units and their vectors."""
    if unit == "text":
        number = resolve_layer(layer, model.num_layers)
        feature = Feature(pooling, "-1" if number == model.num_layers else str(number))
        vectors = model.encode(texts, feature, progress=progress)
        return [text if isinstance(text, str) else text.text for text in texts], vectors
    return _units(model.run(texts[0], layers=layer), unit, layer, pooling)


def _units(trace: Trace, unit: str, layer: int, pooling: str) -> Labelled:
    """The labels and vectors of the tokens or words of one text."""
    if unit == "token":
        return list(trace.tokens.strings), trace.hidden_state(layer)
    return [word.text for word in trace.tokens.words], trace.word_vectors(layer, pooling)
