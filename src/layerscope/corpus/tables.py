"""A corpus of Arrow tables, or of what gives such: pandas, polars, datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from layerscope.corpus.columns import Column, Used
from layerscope.corpus.rows import Rows, arrow
from layerscope.errors import InputError
from layerscope.shown import first_line

if TYPE_CHECKING:
    import pyarrow as pa

# From names of columns, the number of a row and a size to tables from that row on, of about that size,
# which have at least these columns.
Read = Callable[[list[str], int, int], Iterable[Any]]

LEAST = 1000  # rows that are read at once, lest a table is cut into crumbs


class Tables:
    """Rows from a function that reads tables, all of one schema.

    `clashes` says of a column why it cannot be used, where the parts of a corpus disagree about it.

    Raises:
        InputError: a kept column cannot be cast to the type that the schema says.
    """

    is_empty = False
    has_pairs = False

    def __init__(
        self,
        name: str,
        schema: pa.Schema,
        read: Read,
        count: int | None = None,
        is_once: bool = False,
        is_seekable: bool = False,
        least: int = LEAST,
        clashes: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.count: int | None = count
        self.is_once = is_once
        self.is_seekable = is_seekable
        self._least = least
        self._schema = schema
        self._read = read
        self._clashes = clashes or {}
        self.columns: Sequence[Column] | None = [Column(field.name, is_text(field.type)) for field in schema]

    def schema(self, used: Used) -> pa.Schema:
        """Names and types of the kept columns, dictionaries and views as what they hold."""
        for name in used.names:
            if name in self._clashes:
                raise InputError(self._clashes[name])
        return arrow().schema([(name, plain(self._schema.field(name).type)) for name in used.kept])

    def read(self, used: Used, start: int, size: int) -> Iterator[Rows]:
        """A block for each table; `used.text` is there."""
        schema = self.schema(used)
        size = max(size, self._least)
        for table in self._read(used.names, start, size):
            # A batch is cut too, lest one of millions of rows becomes as many Python strings.
            for first in range(0, table.num_rows, size):
                part = table.slice(first, size)
                yield Rows(
                    start=start + first,
                    texts=part.column(used.text).to_pylist(),
                    pairs=None if used.pair is None else part.column(used.pair).to_pylist(),
                    kept=self._kept(part, schema),
                )
            start += table.num_rows

    def _kept(self, part: Any, schema: pa.Schema) -> pa.Table:
        pa = arrow()
        columns = []
        for field in schema:
            column = part.column(field.name)
            try:
                columns.append(_cast(column, field.type))
            except pa.ArrowException:
                raise InputError(
                    f"Column {field.name!r} of {self.name} is {column.type} in some rows, which does not fit "
                    f"{field.type}, as it was before; a column that is kept has one type."
                ) from None
        return pa.Table.from_arrays(columns, schema=schema)


def from_table(name: str, table: Any) -> Tables:
    """A pyarrow table, in slices."""

    def read(names: list[str], start: int, size: int) -> Iterator[Any]:
        for first in range(start, table.num_rows, size):
            yield table.slice(first, size).select(names)

    return Tables(name, table.schema, read, count=table.num_rows)


def from_stream(name: str, source: Any) -> Tables:
    """Anything that has Arrow's C stream interface; only what knows its length can be read again.

    Raises:
        InputError: what it streams are not rows of columns.
    """
    pa = arrow()
    # Before the stream is opened: what runs a query (DuckDB) can do one thing at a time.
    count = len(source) if hasattr(source, "__len__") else None
    try:
        first = (
            source if isinstance(source, pa.RecordBatchReader) else pa.RecordBatchReader.from_stream(source)
        )
    except (pa.ArrowException, TypeError, NotImplementedError) as error:
        why = "it has no columns by name"
        if "non-struct" not in str(error):
            why = f"Arrow cannot take it ({first_line(error).rstrip('.')})"
        raise InputError(f"{name[0].upper()}{name[1:]} cannot be read as a table: {why}.") from None
    waiting = [first]

    def read(names: list[str], start: int, size: int) -> Iterator[Any]:
        reader = waiting.pop() if waiting else pa.RecordBatchReader.from_stream(source)
        return beyond(reader, start)

    return Tables(name, first.schema, read, count, is_once=count is None)


def from_polars(name: str, frame: Any) -> Tables:
    """A polars DataFrame, in slices; columns that Arrow has no type for are refused if they are used."""
    pa = arrow()
    fields, clashes = [], {}
    for column, kind in frame.schema.items():
        fields.append(pa.field(column, pa.null()))
        clashes[column] = (
            f"Column {column!r} of {name} has the polars type {kind}, which Arrow does not have: cast it, or leave it "
            "out."
        )
        if "Object" in str(kind):  # would be handed on as addresses in memory
            continue
        with suppress(pa.ArrowException, NotImplementedError):
            fields[-1] = pa.RecordBatchReader.from_stream(frame.clear().select(column)).schema.field(0)
            del clashes[column]

    def read(names: list[str], start: int, size: int) -> Iterator[Any]:
        for first in range(start, len(frame), size):
            yield pa.RecordBatchReader.from_stream(frame.slice(first, size).select(names)).read_all()

    return Tables(name, pa.schema(fields), read, count=len(frame), clashes=clashes)


def from_dataset(name: str, dataset: Any) -> Tables:
    """A datasets.Dataset, in slices that stay Arrow's."""

    def read(names: list[str], start: int, size: int) -> Iterator[Any]:
        chosen = dataset.select_columns(names).with_format("arrow")
        for first in range(start, len(chosen), size):
            yield chosen[first : first + size]

    return Tables(name, dataset.features.arrow_schema, read, count=len(dataset))


def from_streamed_dataset(name: str, dataset: Any) -> Tables:
    """A datasets.IterableDataset that knows its features; it can be read again."""

    def read(names: list[str], start: int, size: int) -> Iterable[Any]:
        chosen = dataset.select_columns(names).with_format("arrow")
        return beyond(chosen.iter(batch_size=size), start)

    return Tables(name, dataset.features.arrow_schema, read)


def beyond(tables: Iterable[Any], start: int) -> Iterator[Any]:
    """These tables, or batches, without their first `start` rows."""
    for table in tables:
        if start < table.num_rows:
            yield table.slice(start) if start else table
        start = max(0, start - table.num_rows)


def plain(kind: pa.DataType) -> pa.DataType:
    """The type of the values where this is only another way to store them, else the type itself."""
    pa = arrow()
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return plain(kind.value_type)
    return {"string_view": pa.string(), "binary_view": pa.binary()}.get(str(kind), kind)


def _cast(column: Any, kind: pa.DataType) -> Any:
    pa = arrow()
    if column.type == kind:
        return column
    if isinstance(column, pa.ChunkedArray):
        return pa.chunked_array([_cast(chunk, kind) for chunk in column.chunks], kind)
    if pa.types.is_dictionary(column.type):  # its values first: Arrow cannot decode each kind of dictionary
        return column.dictionary.cast(kind).take(column.indices)
    if pa.types.is_run_end_encoded(column.type):
        from pyarrow.compute import run_end_decode

        column = run_end_decode(column)
    return column.cast(kind)


def is_text(kind: pa.DataType) -> bool:
    """Whether strings are stored so, in one of the ways there are."""
    return str(plain(kind)) in ("string", "large_string")
