"""How a part is written: a Parquet file of the same bytes for the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from layerscope.errors import StorageError
from layerscope.store.folder import Folder
from layerscope.store.part import Part, part_file

if TYPE_CHECKING:
    from layerscope.corpus.rows import Rows


def write_part(
    folder: Folder, number: int, source: Rows, tables: Iterable[pa.Table], schema: pa.Schema
) -> Part:
    """Write the part of a number, a row group a table; `source` are the rows of the corpus that they were made from.

    Raises:
        StorageError: it cannot be written, or what lies there is not what was written.
    """
    file, rows, tokens, errors = part_file(number), 0, 0, 0
    sums = []

    def check(place: str) -> None:
        found = pq.read_metadata(place, filesystem=folder.files).num_rows
        if found != len(source) or rows != len(source):
            raise StorageError(f"{folder.name}/{file} has {found} rows of {len(source)} when read back.")
        sums.append(folder.sum(place))

    # Vectors do not repeat and hardly compress; all else does both.
    leaves = {path: is_vector for field in schema for path, is_vector in _leaves(field.name, field.type)}
    options = {
        "compression": {path: "NONE" if is_vector else "ZSTD" for path, is_vector in leaves.items()},
        "use_dictionary": [path for path, is_vector in leaves.items() if not is_vector],
        "write_statistics": [field.name for field in schema if not pa.types.is_nested(field.type)],
    }
    with folder.writing(file, check) as opened, pq.ParquetWriter(opened, schema, **options) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=max(len(table), 1))
            rows += len(table)
            tokens += pc.sum(table.column("num_tokens")).as_py() or 0
            errors += len(table) - table.column("error").null_count
    ((size, checksum),) = sums
    return Part(file, source.start, rows, tokens, errors, size, checksum, source.digest())


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
