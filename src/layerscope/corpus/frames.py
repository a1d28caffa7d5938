"""A corpus in a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from layerscope.corpus.columns import Column, Used
from layerscope.corpus.records import AHEAD
from layerscope.corpus.rows import Rows, arrow
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
        pa = arrow()
        columns = {}
        for name in used.kept:
            series = self._frame.iloc[:, self._place(name)]
            if hasattr(series, "cat"):
                series = series.astype(object)
            try:
                columns[name] = pa.array(series, from_pandas=True)
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                raise InputError(
                    f"Column {name!r} of {self.name} cannot be kept, as its values are of no one type: {error}."
                ) from error
        self._kept = pa.table(columns)
        return self._kept.schema

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
