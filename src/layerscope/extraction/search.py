"""Exact search: the rows, or the words in their context, that are nearest to a query."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from layerscope.arguments import checked
from layerscope.errors import InputError, unknown
from layerscope.extraction.nearest import Nearest, take_in
from layerscope.extraction.query import Query, query_vectors
from layerscope.extraction.stored import Column, Stored
from layerscope.reduce.pooling import Array
from layerscope.result import Result
from layerscope.shown import counted, shorten

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from matplotlib.axes import Axes

    from layerscope.model import Model

# Rows that are looked at together.
_ROWS = 1024

# Characters of a hit in a figure.
_NAME = 60

# Code points of the text on either side of a word.
_AROUND = 40


@dataclass(frozen=True, eq=False, repr=False)
class Hits(Result):
    """What a search found.

    Attributes:
        column: where it searched.
        names: what is said of each hit: "query" (its number) where several were given; "row"; "score", the
            cosine; "id" where the corpus has one; then "text" (and "pair"), or of words and tokens "word" or
            "token", "start", "end" (and "sequence") and "context".
        hits: the values by these names, the nearest first; where there are several queries, query by query.
        left_out: how many rows, words or tokens could not be found, since they have no vector, or one that is near to
            nothing: rows with an error, words without tokens, zeros, NaN.
    """

    column: str
    names: tuple[str, ...]
    hits: tuple[dict[str, Any], ...]
    left_out: int

    def table(self) -> pd.DataFrame:
        """The hits as rows."""
        import pandas as pd

        return pd.DataFrame(list(self.hits), columns=pd.Index(self.names))

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {"column": self.column, "hits": [dict(hit) for hit in self.hits], "left_out": self.left_out}

    @checked
    def plot(self, ax: Axes | None = None) -> Axes:
        """A bar for each hit, the nearest on top.

        Raises:
            InputError: there are more hits than can be read in one figure.
        """
        import pandas as pd

        from layerscope.plots.bars import bars

        names = [
            f"{hit['row']}: {shorten(' '.join(str(hit[self.names[-1]]).split()), _NAME)}" for hit in self.hits
        ]
        scores = pd.Series([hit["score"] for hit in self.hits], index=names, dtype=float)
        return bars(scores, title=f"nearest in {self.column}", xlabel="cosine", ylabel="row", ax=ax)

    def _holds(self) -> str:
        best = f", the nearest {self.hits[0]['score']:.3f}" if self.hits else ""
        return f"{counted(len(self.hits), 'hit')} in {self.column}{best}"


def search(stored: Stored, query: Query, k: int, column: str | None, model: Model | None) -> Hits:
    """Search features: see `Features.search`. One block of rows is in memory at once."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k is how many to find, 1 or more; not {k!r}.")
    name = chosen_column(stored, column)
    queries = query_vectors(stored, name, query, model)
    nearest = [Nearest(one, k) for one in np.atleast_2d(queries)]
    start = left_out = 0
    for batch in stored.rows(_ROWS, [name]):
        vectors, places, absent = _flat(batch.column(0), stored.columns[name])
        left_out += absent + take_in(nearest, vectors, places + np.array([start, 0]))
        start += len(batch)
    names, hits = _found(stored, name, nearest, queries.ndim == 2)
    return Hits(name, names, hits, left_out)


def chosen_column(stored: Stored, column: str | None) -> str:
    """The column of features that is named; without a name the only one."""
    known = list(stored.columns)
    if column is None and len(known) > 1:
        raise InputError(f"There are several columns of features; name one in column=: {', '.join(known)}.")
    if column is not None and column not in known:
        raise unknown("column of features", column, known)
    return column or known[0]


def _flat(cells: pa.Array, column: Column) -> tuple[Array, NDArray[np.int64], int]:
    """The vectors that are there [n, width]; where [n, 2]: row, and number of word or token; and how many are not."""
    import pyarrow.compute as pc

    lengths, absent = np.ones(len(cells), dtype=np.int64), 0
    if column.kind != "text":
        absent = cells.null_count
        lengths = pc.fill_null(pc.list_value_length(cells), 0).to_numpy().astype(np.int64)
        cells = cells.flatten()
    rows = np.repeat(np.arange(len(lengths)), lengths)
    items = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    there = cells.is_valid().to_numpy(zero_copy_only=False)
    vectors = np.asarray(cells.flatten().to_numpy(zero_copy_only=False)).reshape(-1, column.width)
    return vectors, np.stack([rows, items], axis=1)[there], absent + int((~there).sum())


def _found(
    stored: Stored, name: str, nearest: list[Nearest], several: bool
) -> tuple[tuple[str, ...], tuple[dict[str, Any], ...]]:
    """What is said of each hit, and the hits; only the parts that they are in are read."""
    kind = stored.columns[name].kind
    unit = kind.removesuffix("s")
    texts = [field for field in ("text", "pair") if field in stored.manifest.settings["schema"]]
    id = stored.manifest.settings["corpus"]["id"]
    beside = {"text": []}.get(kind, [kind, f"{unit}_starts", f"{unit}_ends", f"{unit}_sequences"])
    columns = dict.fromkeys([*texts, *([id] if id else []), *beside])
    rows = _rows(stored, {int(row) for one in nearest for row in one.places[:, 0]}, list(columns))
    names = ["query"] * several + ["row", "score"] + ["id"] * bool(id)
    names += texts if kind == "text" else [unit, "start", "end", *["sequence"] * (len(texts) > 1), "context"]
    hits = []
    for number, one in enumerate(nearest):
        for score, (row, item) in zip(one.scores, one.places, strict=True):
            values = rows[row]
            hit = values | {"query": number, "row": int(row), "score": float(score), "id": values.get(id)}
            if kind != "text":
                hit |= zip(
                    (unit, "start", "end", "sequence"), (values[field][item] for field in beside), strict=True
                )
                hit["context"] = _context(hit, unit, texts)
            hits.append({field: hit[field] for field in names})
    return tuple(names), tuple(hits)


def _rows(stored: Stored, numbers: set[int], columns: list[str]) -> dict[int, dict[str, Any]]:
    """The values of some rows, by their numbers."""
    return {
        row: batch.slice(row - start, 1).to_pylist()[0]
        for start, batch in stored.around(numbers, _ROWS, columns)
        for row in range(start, start + len(batch))
        if row in numbers
    }


def _context(hit: dict[str, Any], unit: str, texts: list[str]) -> str:
    """A word in brackets within what stands around it, on one line; a special token alone."""
    if hit["sequence"] < 0:
        return str(hit[unit])
    text, start, end = str(hit[texts[hit["sequence"]]]), hit["start"], hit["end"]
    left, right = max(0, start - _AROUND), end + _AROUND
    before = "…" * (left > 0) + text[left:start]
    after = text[end:right] + "…" * (right < len(text))
    return re.sub(r"\s", " ", f"{before}[{text[start:end]}]{after}")
