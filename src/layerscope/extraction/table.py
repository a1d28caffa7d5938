"""The rows of a part as an Arrow table: which columns there are, and how cells become theirs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from layerscope.engine.column_values import ColumnValues
from layerscope.engine.reader import Read
from layerscope.errors import AlignmentError, InputError
from layerscope.reduce.feature import Feature
from layerscope.reduce.pooling import UNPOOLED, Array
from layerscope.text.tokens import Tokens

if TYPE_CHECKING:
    from layerscope.corpus.rows import Rows
    from layerscope.network.network import Network

TYPES = {"float32": pa.float32(), "float16": pa.float16()}

# What is said of every row, whatever the features.
_ABOUT = [
    pa.field("num_tokens", pa.int32()),
    pa.field("num_windows", pa.int32()),
    pa.field("num_cut", pa.int32()),
    pa.field("error", pa.string()),
]

# Beside "tokens" and "words": their strings, which of the pair they are in, and where in it.
_BESIDE = {
    "tokens": {
        "tokens": pa.string(),
        "token_ids": pa.int32(),
        "token_starts": pa.int32(),
        "token_ends": pa.int32(),
        "token_sequences": pa.int8(),
    },
    "words": {
        "words": pa.string(),
        "word_starts": pa.int32(),
        "word_ends": pa.int32(),
        "word_sequences": pa.int8(),
    },
}


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of every part of an extraction.

    Attributes:
        features: what was asked for, in order.
        widths: how wide each feature's column is, by its name.
        column_dtype: their precision, "float32" or "float16".
        schema: all columns: what was kept of the corpus, what happened to each row, features.
    """

    features: tuple[Feature, ...]
    widths: dict[str, int]
    column_dtype: str
    schema: pa.Schema

    @classmethod
    def of(
        cls, model: Network, features: Sequence[Feature], kept: pa.Schema, has_pairs: bool, column_dtype: str
    ) -> Columns:
        """The columns that features of a model give beside those kept, their numbers "float32" or "float16".

        Raises:
            InputError: a kept column has the name of another.
        """
        widths: dict[str, int] = {}
        fields = []
        for feature in features:
            for name in feature.columns(model.num_layers):
                widths[name] = feature.width(model.num_layers, model.hidden_size)
                kind = pa.list_(TYPES[column_dtype], widths[name])
                fields.append(pa.field(name, pa.list_(kind) if feature.pooling in UNPOOLED else kind))
        beside = [
            pa.field(name, pa.list_(kind))
            for unit in UNPOOLED
            if any(feature.pooling == unit for feature in features)
            for name, kind in _BESIDE[unit].items()
        ]
        texts = [pa.field(name, pa.large_string()) for name in ("text", "pair")[: 1 + has_pairs]]
        ours = [*texts, *_ABOUT, *beside, *fields]
        for name in sorted(set(kept.names) & ({field.name for field in ours} | {"pair"})):
            raise InputError(
                f"The column {name!r} cannot be kept: that is the name of a column of the features. Rename it "
                "in the corpus." + (" The text itself is kept anyway." if name in ("text", "pair") else "")
            )
        for field in kept:
            if _has_empty_struct(field.type):
                raise InputError(
                    f"The column {field.name!r} cannot be kept: it holds objects without a field, which Parquet "
                    "cannot store."
                )
        return cls(tuple(features), widths, column_dtype, pa.schema([*kept, *ours]))

    def table(self, rows: Rows, read: Sequence[Read], cells: dict[str, ColumnValues]) -> pa.Table:
        """The table of some rows; `cells` are those of the rows that have tokens, in order."""
        good = [number for number, row in enumerate(read) if row.tokens is not None]
        errors = [row.error for row in read]
        values: dict[str, Any] = {
            "text": [_storable(text) for text in rows.texts],
            "pair": [_storable(text) for text in rows.pairs or ()],
            "num_tokens": [None if row.tokens is None else len(row.tokens) for row in read],
            "num_windows": [None if row.tokens is None else row.num_windows for row in read],
            "num_cut": [None if row.tokens is None else row.tokens.num_cut for row in read],
        }
        for unit in {feature.pooling for feature in self.features} & set(UNPOOLED):
            values |= _beside(unit, read, errors)
        arrays: dict[str, Any] = {name: rows.kept.column(name) for name in rows.kept.column_names}
        for name in self.widths:
            arrays[name] = self._feature(name, cells[name], good, errors)
        values["error"] = errors
        for field in self.schema:
            if field.name in values:
                arrays[field.name] = pa.array(values[field.name], field.type)
        return pa.table(arrays, schema=self.schema)

    def _feature(
        self, name: str, cells: ColumnValues, good: Sequence[int], errors: list[str | None]
    ) -> pa.Array:
        """The array of one feature for all rows; why a cell is empty joins the errors."""
        kind = self.schema.field(name).type
        is_list = not pa.types.is_fixed_size_list(kind)
        numbers = kind.value_type.value_type if is_list else kind.value_type
        is_empty = np.ones(len(errors), dtype=bool)
        for number, row in enumerate(good):
            why = cells.empty.get(number)
            if why is None and pa.types.is_float16(numbers) and _overflows(cells.values[number]):
                why = f"a number beyond {_LARGEST:g}, the largest of float16; take float32 columns"
            is_empty[row] = why is not None
            if why is not None:
                errors[row] = errors[row] or f"{name}: {why}"
        if is_list:
            return _lists(kind, self.widths[name], list(cells.values), good, is_empty)
        whole = np.zeros((len(errors), self.widths[name]), dtype=np.float32)
        whole[good] = cells.values
        whole[is_empty] = 0
        return _vectors(kind, whole, is_empty)


def _has_empty_struct(kind: pa.DataType) -> bool:
    """Whether a type holds, at any depth, a struct of no fields."""
    inner = [kind.field(number).type for number in range(kind.num_fields)]
    return (pa.types.is_struct(kind) and not inner) or any(map(_has_empty_struct, inner))


def _storable(text: Any) -> str | None:
    """A text of whole characters; what else stood there, the error says."""
    if isinstance(text, str):
        with suppress(UnicodeEncodeError):
            text.encode()
            return str(text)
    return None


_LARGEST = float(np.finfo(np.float16).max)


def _overflows(values: Array) -> bool:
    return bool((np.abs(values) > _LARGEST).any())


def _vectors(kind: pa.DataType, vectors: Array, is_empty: NDArray[np.bool_]) -> pa.Array:
    """The array of [row, width], null where it is empty."""
    numbers = vectors.astype(kind.value_type.to_pandas_dtype(), copy=False)
    return pa.FixedSizeListArray.from_arrays(
        pa.array(numbers.reshape(-1)), type=kind, mask=pa.array(is_empty)
    )


def _lists(
    kind: pa.DataType, width: int, values: Sequence[Array], good: Sequence[int], is_empty: NDArray[np.bool_]
) -> pa.Array:
    """The array of lists of vectors [token or word, width], one list a row; a vector of NaN is null."""
    lengths = np.zeros(len(is_empty), dtype=np.int32)
    there = [(row, own) for row, own in zip(good, values, strict=True) if not is_empty[row]]
    for row, own in there:
        lengths[row] = len(own)
    flat = np.concatenate([np.empty((0, width), dtype=np.float32), *(own for _, own in there)])
    inner = _vectors(kind.value_type, flat, np.isnan(flat[:, 0]))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), inner, type=kind, mask=pa.array(is_empty))


def _beside(unit: str, read: Sequence[Read], errors: list[str | None]) -> dict[str, list[Any]]:
    """The lists that stand beside "tokens" or "words", None for a row that has none."""
    columns: dict[str, list[Any]] = {name: [None] * len(read) for name in _BESIDE[unit]}
    for number, row in enumerate(read):
        if row.tokens is None:
            continue
        try:
            lists = _of_tokens(row.tokens) if unit == "tokens" else _of_words(row.tokens)
        except AlignmentError as error:
            errors[number] = errors[number] or f"{unit}: {error}"
            continue
        for name, values in zip(columns, lists, strict=True):
            columns[name][number] = values
    return columns


def _of_tokens(tokens: Tokens) -> tuple[Any, ...]:
    starts, ends = tokens.offsets.T
    return list(tokens.strings), tokens.ids, starts, ends, tokens.sequence


def _of_words(tokens: Tokens) -> tuple[Any, ...]:
    words = tokens.words
    return (
        [word.text for word in words],
        [word.start for word in words],
        [word.end for word in words],
        [word.sequence for word in words],
    )
