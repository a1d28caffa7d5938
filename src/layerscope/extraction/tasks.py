"""The tasks of a run: the parts that are to be made, and those there that are to be compared with the corpus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerscope.errors import StorageError
from layerscope.store.part import Part

if TYPE_CHECKING:
    from layerscope.corpus.rows import Rows


@dataclass(frozen=True, eq=False)
class Task:
    """A part that is to be made.

    Attributes:
        number: of the part, from 0.
        start: the number of its first row.
        count: how many rows it has.
        rows: its rows; None for a reference, of which whoever makes the part reads the rows itself.
        before: the part, if it is there: its rows are then compared with the corpus.
    """

    number: int
    start: int
    count: int
    rows: Rows | None = None
    before: Part | None = None


def tasks(ranges: Iterable[Rows], there: Sequence[Part]) -> Iterator[Task]:
    """A task for each range of rows whose part is not there yet; of those that are, the rows are compared.

    Raises:
        StorageError: the corpus is not the one that the parts there were made from.
    """
    before, end = {part.start: part for part in there}, 0
    for number, rows in enumerate(ranges):
        part, end = before.pop(rows.start, None), rows.start + len(rows)
        if part is None:
            yield Task(number, rows.start, len(rows), rows)
        else:
            compare(part, rows)
    _check_end(before.values(), end)


def references(count: int, part_rows: int, there: Sequence[Part]) -> Iterator[Task]:
    """A task without its rows for each part of a corpus of so many rows, and for each part that is there.

    Raises:
        StorageError: the corpus is shorter than the one that the parts there were made from.
    """
    _check_end(there[-1:], count)
    before = {part.start: part for part in there}
    for number, start in enumerate(range(0, count, part_rows)):
        yield Task(number, start, min(part_rows, count - start), before=before.get(start))


def compare(part: Part, rows: Rows) -> None:
    """Raise unless these are the rows that a part was made from.

    Raises:
        StorageError: they are others.
    """
    if part.corpus_sha256 != rows.digest():
        raise StorageError(
            f"The corpus is not the one that was begun with: its rows {rows.start} to "
            f"{rows.start + len(rows) - 1} differ from those of {part.file}"
            + (f", which are {part.rows}" if part.rows != len(rows) else "")
            + ". Choose a new folder."
        )


def _check_end(parts: Iterable[Part], end: int) -> None:
    """Raise if any of these parts begins behind the end of the corpus."""
    beyond = min((part for part in parts if part.start >= end), key=lambda part: part.start, default=None)
    if beyond is not None:
        raise StorageError(
            f"The corpus is not the one that was begun with: it ends before row {beyond.start}, which is in "
            f"{beyond.file}. Choose a new folder."
        )
