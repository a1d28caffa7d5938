"""CSV and TSV files: columns of strings, named by the first line."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

from layerscope.corpus.files import File, name_of
from layerscope.corpus.lines import pieces, tables
from layerscope.corpus.rows import arrow
from layerscope.corpus.tables import Tables
from layerscope.errors import InputError

SEPARATORS = {"csv": ",", "tsv": "\t"}

# What may separate fields, and what it is called.
_NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}

# Lines that are looked at to see what separates them.
_LOOKED_AT = 20


def from_delimited(files: list[File]) -> Tables:
    """The rows of CSV or TSV files of one header; all values stay the strings that are written.

    A blank line is no row, except in a file of a single column, where it is an empty value.

    Raises:
        InputError: no header, another header than the first file's, and, while reading, a row of too few or
            too many fields or wrong quotes; the message names file and line.
    """
    headers = [_header(file) for file in files]
    for file, header in zip(files, headers, strict=True):
        if header != headers[0]:
            raise InputError(
                f"{file.label} has the columns {', '.join(header)}, but {files[0].label} has "
                f"{', '.join(headers[0])}; files that are read together have one header."
            )
    pa = arrow()

    def read(names: list[str], start: int, size: int) -> Iterator[Any]:
        rows = (row for file in files for row in _rows(file))
        places = [headers[0].index(name) for name in names]
        chosen = ([row[place] for place in places] for row in islice(rows, start, None))
        return tables(chosen, pa.schema([(name, pa.string()) for name in names]), size)

    return Tables(name_of(files), pa.schema([(name, pa.string()) for name in headers[0]]), read)


def _header(file: File) -> list[str]:
    records = _records(file)
    first = [fields for _, fields in islice(records, _LOOKED_AT)]
    records.close()
    if not first:
        raise InputError(f"{file.label} is empty; its first line is to name the columns.")
    if not first[0]:
        raise InputError(f"The first line of {file.label} is empty; it is to name the columns.")
    _check_separator(file, first)
    return list(first[0])


def _check_separator(file: File, first: list[list[str]]) -> None:
    """Raise if a file has one column only because another sign separates its fields, in each of its first lines."""
    lines = [fields[0] for fields in first if fields]
    if any(len(fields) > 1 for fields in first):
        return
    if lines[0].lower().startswith("sep="):
        raise InputError(
            f"The first line of {file.label} is {lines[0]!r}, which only Excel reads: leave it out, and separate the "
            f"fields by {_NAMES[SEPARATORS[file.kind or 'csv']]}."
        )
    for sign in _NAMES.keys() - {SEPARATORS[file.kind or "csv"]}:
        counts = {line.count(sign) for line in lines}
        if len(lines) > 1 and len(counts) == 1 and counts != {0}:
            raise InputError(
                f"{file.label} has a single column {lines[0]!r}: its fields seem to be separated by {_NAMES[sign]}. "
                f"Separate them by {_NAMES[SEPARATORS[file.kind or 'csv']]}, or quote the fields."
            )


def _rows(file: File) -> Iterator[list[str]]:
    """The rows below the header, each of as many fields."""
    records = _records(file)
    number = len(next(records)[1])
    for line, fields in records:
        if not fields and number > 1:
            continue
        if len(fields or [""]) != number:
            raise InputError(
                f"{file.label}, line {line}: {len(fields)} fields, but the header has {number}; "
                "put quotes around a field that contains the separator."
            )
        yield fields or [""]


def _records(file: File) -> Any:
    """The fields of each record, with the number of the line where it starts; a generator."""
    # Lines keep their ends, which within quotes belong to the value.
    lines = (line for piece in pieces(file) for line in io.StringIO(piece, newline=""))
    reader = csv.reader(lines, delimiter=SEPARATORS[file.kind or "csv"], strict=True)
    while True:
        line = reader.line_num + 1
        limit = csv.field_size_limit(sys.maxsize)  # of the whole process, so it is put back each time
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"{file.label}, line {line}: its quotes do not match ({error}); a quote within a field is "
                'doubled ("") and the field quoted.'
            ) from None
        finally:
            csv.field_size_limit(limit)
        if fields is None:
            return
        yield line, fields
