"""A corpus in a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from layerscope.corpus.columns import Column, Used
from layerscope.corpus.records import AHEAD
from layerscope.corpus.rows import Rows, arrow
from layerscope.corpus.values import column_of, type_of
from layerscope.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Frame:
    """Rows of a DataFrame; its index is left out.

    Texts never pass through Arrow, which has no column that mixes strings and numbers.

    Raises:
        InputError: a kept column has no Arrow type.
    """

    is_empty = False
    is_once = False
    is_seekable = False
    has_pairs = False

    def __init__(self, name: str, frame: pd.DataFrame) -> None:
        self.name = name
        self.count: int | None = len(frame)
        self._frame = frame
        self.columns: Sequence[Column] | None = [
            Column(str(label), _is_text(frame.iloc[:AHEAD, place]))
            for place, label in enumerate(frame.columns)
        ]
        self._kept: Any = None

    def schema(self, used: Used) -> pa.Schema:
        """Names and types of the kept columns, as pyarrow infers them from the whole frame."""
        self._kept = arrow().table({name: self._column(name) for name in used.kept})
        return self._kept.schema

    def _column(self, name: str) -> Any:
        """A kept column as an array; what has a type of its own in pandas is Arrow's to convert."""
        series: Any = self._frame.iloc[:, self._place(name)]
        if hasattr(series, "cat"):
            series = series.astype(object)
        elif hasattr(series, "sparse"):
            series = series.sparse.to_dense()
        if series.dtype == object:
            values = series.where(series.notna(), None).tolist()
            return column_of(values, name, type_of(values, name, self.name), self.name, start=0)
        try:
            return arrow().array(series, from_pandas=True)
        except (arrow().ArrowException, TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"Column {name!r} of {self.name} cannot be kept: Arrow has no type for pandas' {series.dtype}."
            ) from error

    def read(self, used: Used, start: int, size: int) -> Iterator[Rows]:
        """Blocks of `size` rows, from number `start` on."""
        for first in range(start, len(self._frame), size):
            yield Rows(
                start=first,
                texts=self._values(used.text or "", first, size),
                pairs=None if used.pair is None else self._values(used.pair, first, size),
                kept=self._kept.slice(first, size),
            )

    def _values(self, name: str, first: int, size: int) -> list[Any]:
        return self._frame.iloc[first : first + size, self._place(name)].tolist()

    def _place(self, name: str) -> int:
        """The position of a column; names that are numbers are given as strings."""
        return [str(label) for label in self._frame.columns].index(name)


def _is_text(series: pd.Series) -> bool:
    from pandas.api.types import infer_dtype

    return infer_dtype(series.astype(object), skipna=True) == "string"
