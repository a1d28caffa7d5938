"""A corpus of Python values: texts, pairs of texts, or dicts, one a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from layerscope.corpus.columns import Column, Used
from layerscope.corpus.rows import Rows, arrow
from layerscope.corpus.values import column_of, type_of

if TYPE_CHECKING:
    import pyarrow as pa

AHEAD = 1000  # rows that are looked at to see what a corpus holds


class Records:
    """Rows from a function that iterates over them from a given number on.

    Args:
        name: what it is, for messages.
        rows: from the number of a row to an iterator that begins there.
        count: how many there are, where that is known.
        is_once: whether `rows` works only once; what was looked ahead is then kept and handed out first.

    Raises:
        InputError: see `layerscope.corpus.values`, at `schema` and while reading.
    """

    def __init__(
        self,
        name: str,
        rows: Callable[[int], Iterator[Any]],
        count: int | None = None,
        is_once: bool = False,
    ) -> None:
        self.name = name
        self.count = count
        self.is_once = is_once
        self.is_seekable = False
        self._rows: Callable[[int], Iterator[Any]] = lambda start: map(_by_name, rows(start))
        stream = self._rows(0)
        self._ahead = list(islice(stream, AHEAD))
        self._rest = stream if is_once else None
        self.is_empty = not self._ahead
        self.columns: Sequence[Column] | None = _columns(self._ahead)
        self.has_pairs = self.columns is None and any(_is_pair(row) for row in self._ahead)
        self._schema: Any = None

    def schema(self, used: Used) -> pa.Schema:
        """Names and types of the kept columns, as the rows looked ahead have them."""
        fields = [(name, type_of(self._column(self._ahead, name), name, self.name)) for name in used.kept]
        self._schema = arrow().schema(fields)
        return self._schema

    def read(self, used: Used, start: int, size: int) -> Iterator[Rows]:
        """Blocks of `size` rows, from number `start` on."""
        rows = self._rows(start) if self._rest is None else self._kept_and_rest(start)
        while block := list(islice(rows, size)):
            kept = [
                column_of(self._column(block, field.name), field.name, field.type, self.name, start)
                for field in self._schema
            ]
            yield Rows(
                start=start,
                texts=self._texts(block, used.text, 0),
                pairs=self._texts(block, used.pair, 1) if used.pair is not None or self.has_pairs else None,
                kept=arrow().Table.from_arrays(kept, schema=self._schema),
            )
            start += len(block)

    def _kept_and_rest(self, start: int) -> Iterator[Any]:
        ahead, self._ahead = self._ahead, []
        yield from ahead[start:]
        yield from islice(self._rest or iter(()), max(0, start - len(ahead)), None)

    def _texts(self, block: list[Any], column: str | None, place: int) -> list[Any]:
        """What stands in a column; of plain rows, the first or second text of each."""
        if column is not None:
            other = (lambda row: row) if place == 0 else (lambda row: None)
            return [row.get(column) if isinstance(row, Mapping) else other(row) for row in block]
        if self.has_pairs:
            return [row[place] if _is_pair(row) else (row, None)[place] for row in block]
        return block

    @staticmethod
    def _column(block: list[Any], name: str) -> list[Any]:
        return [row.get(name) if isinstance(row, Mapping) else None for row in block]


def _columns(rows: list[Any]) -> list[Column] | None:
    """The columns of dicts, in the order in which they are first seen; None where no row is one."""
    found: dict[str, set[type]] = {}
    dicts = [row for row in rows if isinstance(row, Mapping)]
    for row in dicts:
        for name, value in row.items():
            if isinstance(name, str):
                found.setdefault(name, set()).add(type(value))
    if not dicts:
        return None
    return [Column(name, kinds - {type(None)} == {str}) for name, kinds in found.items()]


def _by_name(row: Any) -> Any:
    """A row, a named tuple as a dict: its second field is no second text of a pair."""
    return row._asdict() if isinstance(row, tuple) and hasattr(row, "_asdict") else row


def _is_pair(row: object) -> bool:
    return isinstance(row, tuple) and len(row) == 2
