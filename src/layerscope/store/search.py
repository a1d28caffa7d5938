"""Exact search: the rows, or the words in their context, that are nearest to a query."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from layerscope.errors import InputError, brief, unknown
from layerscope.reduce.feature import Feature
from layerscope.reduce.pooling import UNPOOLED, Array
from layerscope.store.hits import Hits
from layerscope.store.nearest import Nearest, take_in, unit
from layerscope.store.stored import Column, Stored

if TYPE_CHECKING:
    import pyarrow as pa

# A vector, several, a text, a pair of texts, or a word in its text.
Query = str | tuple[str, Any] | ArrayLike


class Embeds(Protocol):
    """What makes a vector of a text: a `Model`, of which nothing else is known here."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def num_layers(self) -> int:
        """How many blocks it has."""

    @property
    def run(self) -> Callable[..., Any]:
        """See `Model.run`."""

    def identity(self) -> dict[str, Any]:
        """See `Model.identity`."""


# Rows that are looked at together.
_ROWS = 1024

# Code points of the text on either side of a word.
_AROUND = 40


def search(stored: Stored, query: Query, k: int, column: str | None, model: Embeds | None) -> Hits:
    """Search features: see `Features.search`. One block of rows is in memory at once."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k is how many to find, 1 or more; not {k!r}.")
    name = chosen_column(stored, column)
    queries = _query_vectors(stored, name, query, model)
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


def _query_vectors(stored: Stored, name: str, query: Query, model: Embeds | None) -> Array:
    """float64 [width], or [query, width] of several, each of length 1."""
    is_text = isinstance(query, str) or (
        isinstance(query, tuple) and bool(query) and isinstance(query[0], str)
    )
    if is_text:
        if model is None:
            raise InputError(
                f"{query!r} needs the model that made these features, "
                f"{stored.manifest.about['model']['name']}: give model=."
            )
        query = _embedded(stored, name, query, model)
    given = _numbers(query)
    if model is not None and not is_text:
        raise InputError("The query is a vector already; model= is for a text.")
    width = stored.columns[name].width
    if given.ndim not in (1, 2) or given.size == 0:
        raise InputError(f"A query is [width] or [query, width]; this one is of shape {given.shape}.")
    if given.shape[-1] != width:
        raise InputError(f"The query is {given.shape[-1]} wide, and {name} is {width} wide.")
    if not np.isfinite(given).all():
        raise InputError("The query holds NaN or infinity, to which nothing is near.")
    scaled, lengths = unit(np.atleast_2d(given), np.float64)
    if not lengths.all():
        raise InputError("The query is a vector of zeros, which has no direction.")
    return scaled.reshape(given.shape)


def _numbers(query: Any) -> Array:
    """A query as float64 numbers, of whatever shape."""
    try:
        if np.asarray(query).dtype.kind not in "OUSV" and query is not None:
            return np.array(query, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        pass  # a list of vectors of several widths, or nothing that has numbers
    is_texts = isinstance(query, list | np.ndarray) and any(isinstance(one, str | tuple) for one in query)
    hint = " Search for several texts one by one." if is_texts else ""
    raise InputError(
        f"A query is a vector, several of one width, a text, or (text, word); not {brief(query)}.{hint}"
    )


def _embedded(stored: Stored, name: str, query: Any, model: Embeds) -> Array:
    """[width]: a text, a pair, or a word in its text, as the column has it of its rows."""
    _same_model(stored, model)
    column = stored.columns[name]
    parts = (query,) if isinstance(query, str) else query
    if not (len(parts) == 2 or (len(parts) == 1 and column.kind == "text")):
        what = "a text or a pair of texts" if column.kind == "text" else "(text, word), a word in its text"
        raise InputError(f"For {name} a query is a vector, or {what}; not {query!r}.")
    feature = Feature.parse(column.feature)
    layers = feature.resolve(model.num_layers)
    names = feature.columns(model.num_layers)
    if len(names) > 1:
        layers = (layers[names.index(name)],)
        feature = Feature(feature.pooling, str(layers[0]))
    text, second = (*parts, None)[:2]
    long = stored.manifest.settings["long_texts"]["long"]
    if feature.pooling in UNPOOLED:
        return np.asarray(model.run(text, layers=layers, long=long).vector(second, layers[0]))
    return np.asarray(model.run(text, second, layers=layers, long=long).feature(feature))


def _same_model(stored: Stored, model: Embeds) -> None:
    theirs, ours = stored.manifest.settings["model"], model.identity()
    differing = [field for field in theirs if theirs[field] != ours.get(field)]
    if differing:
        raise InputError(
            f"{model.name} is not the model of these features, {stored.manifest.about['model']['name']}: "
            f"its {differing[0]} is another. Load that one, or give a vector."
        )
