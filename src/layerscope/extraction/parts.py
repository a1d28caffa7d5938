"""Parts: the fixed ranges of rows that are made, written and remembered each on its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from layerscope.errors import StorageError
from layerscope.extraction.folder import Folder
from layerscope.extraction.manifest import Manifest
from layerscope.extraction.part import Part, part_file

if TYPE_CHECKING:
    from layerscope.corpus.rows import Rows


@dataclass(frozen=True, eq=False)
class Todo:
    """A part that is to be made: the rows of the corpus, and their checksum."""

    number: int
    rows: Rows
    corpus_sha256: str

    @property
    def file(self) -> str:
        """The name of its file."""
        return part_file(self.number)


def todo(ranges: Iterable[Rows], before: Manifest) -> Iterator[Todo]:
    """The parts of a corpus that are not there yet; of those that are, the rows are compared.

    Raises:
        StorageError: the corpus is not the one that the parts there were made from.
    """
    there = {part.start: part for part in before.parts}
    number = -1
    for number, rows in enumerate(ranges):
        checksum = rows.digest()
        part = there.pop(rows.start, None)
        if part is None:
            yield Todo(number, rows, checksum)
        elif part.corpus_sha256 != checksum:
            raise StorageError(
                f"The corpus is not the one that was begun with: its rows {rows.start} to "
                f"{rows.start + len(rows) - 1} differ from those of {part.file}"
                + (f", which are {part.rows}" if part.rows != len(rows) else "")
                + ". Choose a new folder."
            )
    if there:
        first = min(there)
        raise StorageError(
            f"The corpus is not the one that was begun with: it ends before row {first}, which is in "
            f"{there[first].file}. Choose a new folder."
        )


def write_part(folder: Folder, part: Todo, tables: Iterable[pa.Table], schema: pa.Schema) -> Part:
    """Write a part, a row group a table; the same bytes for the same tables.

    Raises:
        StorageError: it cannot be written, or what lies there is not what was written.
    """
    rows = tokens = errors = 0
    sums = []

    def check(place: str) -> None:
        found = pq.read_metadata(place, filesystem=folder.files).num_rows
        if found != len(part.rows) or rows != len(part.rows):
            raise StorageError(
                f"{folder.name}/{part.file} has {found} rows of {len(part.rows)} when read back."
            )
        sums.append(folder.sum(place))

    # Vectors do not repeat and hardly compress; all else does both.
    leaves = {path: is_vector for field in schema for path, is_vector in _leaves(field.name, field.type)}
    options = {
        "compression": {path: "NONE" if is_vector else "ZSTD" for path, is_vector in leaves.items()},
        "use_dictionary": [path for path, is_vector in leaves.items() if not is_vector],
        "write_statistics": [field.name for field in schema if not pa.types.is_nested(field.type)],
    }
    with folder.writing(part.file, check) as file, pq.ParquetWriter(file, schema, **options) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=max(len(table), 1))
            rows += len(table)
            tokens += pc.sum(table.column("num_tokens")).as_py() or 0
            errors += len(table) - table.column("error").null_count
    ((size, checksum),) = sums
    return Part(part.file, part.rows.start, rows, tokens, errors, size, checksum, part.corpus_sha256)


def _leaves(path: str, kind: pa.DataType) -> Iterator[tuple[str, bool]]:
    """The columns that Parquet makes of a nested one, by their paths, and whether they hold vectors."""
    if pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type):
        yield f"{path}.list.element", True
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{path}.{field.name}", field.type)
    elif pa.types.is_map(kind):
        yield from _leaves(f"{path}.key_value.key", kind.key_type)
        yield from _leaves(f"{path}.key_value.value", kind.item_type)
    else:
        yield path, False
