"""Parquet and Arrow files: only the columns that are used are read."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from typing import Any

from layerscope.corpus.files import File, name_of
from layerscope.corpus.rows import arrow
from layerscope.corpus.tables import Tables, beyond, is_text, plain
from layerscope.errors import InputError, MissingRowsWarning

# Footers that are read at once, for those in an object store.
_AT_ONCE = 16

# Rows of a row group that may be read in vain to come to one of them; of larger ones, all is read in order.
_SEEKABLE = 1 << 18

# How a message of an Arrow stream begins, and the one that ends it.
_CONTINUES = b"\xff" * 4
_END = _CONTINUES + bytes(4)


def from_parquet(files: list[File]) -> Tables:
    """The rows of Parquet files of one schema, counted from their footers.

    Raises:
        InputError: a file is no Parquet, or has other columns or types than the first.
    """
    with ThreadPoolExecutor(_AT_ONCE, "layerscope-footers") as pool:
        footers = list(pool.map(_footer, files))
    row_groups = [(file, groups) for file, (_, groups) in zip(files, footers, strict=True)]

    def read(names: list[str], start: int, size: int) -> Iterator[Any]:
        for file, groups in row_groups:
            skipped = 0  # row groups of this file
            while skipped < len(groups) and start >= groups[skipped]:
                start -= groups[skipped]
                skipped += 1
            if skipped == len(groups):
                continue
            with _parquet(file) as opened:
                rest = list(range(skipped, len(groups)))
                yield from beyond(opened.iter_batches(size, row_groups=rest, columns=names), start)
            start = 0

    return Tables(
        name_of(files),
        footers[0][0],
        read,
        count=sum(sum(groups) for _, groups in row_groups),
        is_seekable=all(rows <= _SEEKABLE for _, groups in row_groups for rows in groups),
        clashes=_clashes([(file, schema) for file, (schema, _) in zip(files, footers, strict=True)]),
    )


def _footer(file: File) -> tuple[Any, list[int]]:
    """The schema of a Parquet file, and the rows of each of its row groups."""
    with _parquet(file) as opened:
        groups = [opened.metadata.row_group(at).num_rows for at in range(opened.num_row_groups)]
        return opened.schema_arrow, groups


def from_arrow(files: list[File]) -> Tables:
    """The rows of files in Arrow's IPC formats: the one for files (feather), or the one for streams.

    Raises:
        InputError: a file is neither, or has other columns or types than the first.
    """
    schemas: list[tuple[File, Any]] = []
    for file in files:
        with _batches(file) as (schema, _):
            schemas.append((file, schema))
        _check_end(file)

    def read(names: list[str], start: int, size: int) -> Iterator[Any]:
        return beyond(chain.from_iterable(_tables(file, names) for file in files), start)

    return Tables(name_of(files), schemas[0][1], read, clashes=_clashes(schemas))


def _tables(file: File, names: list[str]) -> Iterator[Any]:
    with _batches(file) as (_, batches):
        for batch in batches:
            yield batch.select(names)


@contextmanager
def _parquet(file: File) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with _unpacked(file, "Parquet") as stream:
        yield pq.ParquetFile(stream)


@contextmanager
def _batches(file: File) -> Iterator[tuple[Any, Iterator[Any]]]:
    """The schema of an IPC file, and its batches."""
    ipc = arrow().ipc
    with _unpacked(file, "Arrow (IPC)") as stream:
        start = stream.read(6)
        stream.seek(0)
        if start == b"ARROW1":
            opened = ipc.open_file(stream)
            yield opened.schema, (opened.get_batch(at) for at in range(opened.num_record_batches))
        else:
            reader = ipc.open_stream(stream)
            yield reader.schema, iter(reader)


def _check_end(file: File) -> None:
    """Warn of a stream without the mark of its end: it may have been cut behind any of its batches."""
    with _unpacked(file, "Arrow (IPC)") as stream:
        start = stream.read(len(_CONTINUES))
        stream.seek(-min(len(_END), stream.seek(0, os.SEEK_END)), os.SEEK_END)
        if start == _CONTINUES and stream.read() != _END:
            warnings.warn(
                f"{file.label} ends without the mark of an Arrow stream's end: if it was not copied to its end, rows "
                "are missing.",
                MissingRowsWarning,
                stacklevel=2,
            )


@contextmanager
def _unpacked(file: File, kind: str) -> Iterator[Any]:
    """A file that must be read out of order; what Arrow says against its content is an `InputError`."""
    if file.packing is not None:
        raise InputError(
            f"{file.label} is packed as a whole, and {kind} is read from its end; unpack it first, "
            "it is compressed within."
        )
    with file.packed() as stream:
        try:
            yield stream
        except arrow().ArrowInvalid as error:
            reason = str(error).split(". ")[0].removesuffix(".")
            raise InputError(f"{file.label} is no {kind} file, or a broken one: {reason}.") from error


def _clashes(schemas: list[tuple[File, Any]]) -> dict[str, str]:
    """Of each column that is not the same in all files, what is to be said."""
    first, schema = schemas[0]
    found = {}
    for file, other in schemas[1:]:
        for field in schema:
            kind = plain(field.type)
            if field.name not in other.names:
                found[field.name] = f"{file.label} has no column {field.name!r}, which {first.label} has."
            elif (here := plain(other.field(field.name).type)) != kind and not (
                is_text(here) and is_text(kind)
            ):
                found[field.name] = (
                    f"Column {field.name!r} is {here} in {file.label}, but {kind} in {first.label}; "
                    "files that are read together have columns of one type."
                )
    return found
