"""What is stored in a folder of features: its parts, read row group by row group."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from layerscope.errors import StorageError
from layerscope.reduce.pooling import UNPOOLED
from layerscope.store.folder import Folder
from layerscope.store.manifest import Manifest
from layerscope.store.part import Part

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Column:
    """A column of features.

    Attributes:
        feature: what it holds, as it was asked for: "mean@-4:/concat".
        width: numbers a vector.
        kind: "text" for one vector a row, "words" or "tokens" for a list of them.
    """

    feature: str
    width: int
    kind: str


@dataclass(frozen=True, eq=False)
class Stored:
    """The parts of a folder, as its manifest lists them.

    Attributes:
        folder: where they are.
        manifest: what stands in `_manifest.json`.
    """

    folder: Folder
    manifest: Manifest

    @cached_property
    def schema(self) -> pa.Schema:
        """All columns with their types, from the first part; from the manifest where there is none yet."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self.manifest.parts:
            types = self.manifest.settings["schema"]
            return pa.schema([(name, _type(written)) for name, written in types.items()])
        first = self.manifest.parts[0]
        self._check(first)
        with self._said(first):
            return pq.read_schema(self.folder.path(first.file), filesystem=self.folder.files)

    def paths(self) -> list[str]:
        """Where the parts are, in order, for the folder's file system; all are there."""
        for file in self.folder.lost(self.manifest.parts)[:1]:
            self._gone(file)
        return [self.folder.path(part.file) for part in self.manifest.parts]

    def gaps(self) -> Iterator[tuple[int, int]]:
        """The first and last row of each stretch of the corpus that is missing before a part."""
        end = 0
        for part in self.manifest.parts:
            if part.start > end:
                yield end, part.start - 1
            end = part.start + part.rows

    @cached_property
    def columns(self) -> dict[str, Column]:
        """The columns that hold features, by name; `schema` has all columns."""
        columns = {}
        for name, column in self.manifest.settings["columns"].items():
            pooling = column["feature"].partition("@")[0]
            columns[name] = Column(**column, kind=pooling if pooling in UNPOOLED else "text")
        return columns

    def rows(self, size: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows of all parts in order, at most `size` at once.

        Raises:
            StorageError: a part is gone, or cannot be read; said when it is reached.
        """
        return (batch for part in self.manifest.parts for batch in self.batches(part, size, columns))

    def batches(self, part: Part, size: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows of a part in order, at most `size` at once, one row group in memory.

        Raises:
            StorageError: it is gone, or cannot be read.
        """
        import pyarrow.parquet as pq

        self._check(part)
        with (
            self._said(part),
            pq.ParquetFile(self.folder.path(part.file), filesystem=self.folder.files) as file,
        ):
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=list(columns)).select(list(columns))
                yield from table.to_batches(max_chunksize=size)

    def around(
        self, rows: Collection[int], size: int, columns: Sequence[str]
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The batches of those parts that have any of these rows, each with the number of its first row."""
        wanted, end = sorted(rows), 0
        for part in self.manifest.parts:
            start, end = end, end + part.rows
            if bisect_left(wanted, start) < bisect_left(wanted, end):
                for batch in self.batches(part, size, columns):
                    yield start, batch
                    start += len(batch)

    def _check(self, part: Part) -> None:
        if not self.folder.has(part):
            self._gone(part.file)

    def _gone(self, file: str) -> NoReturn:
        is_there = self.folder.files.exists(self.folder.path(file))
        raise StorageError(
            f"{self.folder.name}/{file} is {'not as long as it was written' if is_there else 'gone'}. "
            "The same extraction, run again, makes it anew."
        )

    @contextmanager
    def _said(self, part: Part) -> Iterator[None]:
        """Say in one sentence why a part cannot be read."""
        import pyarrow as pa

        try:
            yield
        except (OSError, pa.ArrowException) as error:
            why = str(error).partition("\n")[0].rstrip(".")
            raise StorageError(
                f"{self.folder.name}/{part.file} cannot be read: {why}. If it is damaged, remove it and run the "
                "same extraction again."
            ) from error


def _type(written: str) -> Any:
    """The Arrow type that is written so in a manifest."""
    import pyarrow as pa

    if written.startswith("list<item: "):
        return pa.list_(_type(written[len("list<item: ") : -1]))
    if written.startswith("fixed_size_list<item: "):
        inner, _, size = written[len("fixed_size_list<item: ") : -1].rpartition(">[")
        return pa.list_(_type(inner), int(size))
    try:
        return pa.type_for_alias(written)
    except ValueError as error:
        raise StorageError(
            f"No part is there yet, so the type {written} of a column is not known."
        ) from error
