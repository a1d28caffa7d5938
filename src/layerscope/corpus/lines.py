"""Text files: their lines, paragraphs, or all of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from layerscope.corpus.files import File, name_of
from layerscope.corpus.rows import arrow
from layerscope.corpus.tables import Tables
from layerscope.errors import InputError, unknown

BLOCK = 1 << 20  # bytes read at once
Row = tuple[str, int]  # a text, and the number of the line at which it starts, from 1


def pieces(file: File) -> Iterator[str]:
    r"""The text of a file in pieces, each of whole lines with their ends: \n, \r\n or \r.

    Raises:
        InputError: it cannot be read, or is not UTF-8; the message names the byte.
    """
    lines = position = 0

    def decoded(data: bytes) -> str:
        nonlocal lines, position
        text = _utf8(data, file.label, lines, position)
        lines += text.count("\n") + text.count("\r") - text.count("\r\n")
        text = text.removeprefix("\ufeff") if position == 0 else text
        position += len(data)
        return text

    waiting: list[bytes] = []
    held = b""  # a \r at the end of a block, of which the next may have the \n
    with file.open() as stream:
        read = getattr(
            stream, "read1", stream.read
        )  # of a pipe what is there, without waiting for a whole block
        while block := read(BLOCK):
            block = held + block
            held = b"\r" if block.endswith(b"\r") else b""
            block = block[: len(block) - len(held)]
            cut = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
            if cut:
                yield decoded(b"".join([*waiting, block[:cut]]))
                waiting = []
            waiting.append(block[cut:])
        if rest := b"".join([*waiting, held]):
            yield decoded(rest)


def lines_of(file: File) -> Iterator[str]:
    """The lines of a file without their ends; one at the end of the file makes no further line."""
    for piece in pieces(file):
        lines = piece.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        if not lines[-1]:
            lines.pop()
        yield from lines


def by_line(file: File) -> Iterator[Row]:
    """Each line, blank ones too."""
    return ((line, number) for number, line in enumerate(lines_of(file), start=1))


def by_paragraph(file: File) -> Iterator[Row]:
    """Each run of lines that are not blank, its lines joined by a newline."""
    run: list[str] = []
    number = 0
    for number, line in enumerate(lines_of(file), start=1):
        if line and not line.isspace():
            run.append(line)
        elif run:
            yield "\n".join(run), number - len(run)
            run = []
    if run:
        yield "\n".join(run), number + 1 - len(run)


def by_document(file: File) -> Iterator[Row]:
    """All of the file, as it is."""
    yield "".join(pieces(file)), 1


SEGMENTS: dict[str, Callable[[File], Iterator[Row]]] = {
    "line": by_line,
    "paragraph": by_paragraph,
    "document": by_document,
}


def from_text(files: list[File], segment: str) -> Tables:
    """A row for each segment of the text, with the columns text, file (its label) and line."""
    if segment not in SEGMENTS:
        raise unknown("segment", segment, SEGMENTS)
    pa = arrow()
    schema = pa.schema([("text", pa.string()), ("file", pa.string()), ("line", pa.int64())])

    def read(names: list[str], start: int, size: int) -> Iterator[Any]:
        # A file is one document, so that no file before has to be read.
        first, start = (start, 0) if segment == "document" else (0, start)
        rows = ((text, file.label, line) for file in files[first:] for text, line in SEGMENTS[segment](file))
        return tables(islice(rows, start, None), schema, size)

    if segment == "document" and not files[0].is_stdin:
        return Tables(name_of(files), schema, read, count=len(files), is_seekable=True, least=1)
    return Tables(name_of(files), schema, read, is_once=files[0].is_stdin)


def tables(rows: Iterator[Any], schema: Any, size: int) -> Iterator[Any]:
    """Rows, each a value for each column, as tables of `size` rows."""
    pa = arrow()
    while block := list(islice(rows, size)):
        columns = zip(*block, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


# What files begin with that are no text, whatever their names say.
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"PK\x03\x04": "zip (or an Excel or Word file)",
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
    b"%PDF": "PDF",
}


def _check_text(data: bytes, label: str) -> None:
    """Raise if the beginning of a file is that of one of another kind."""
    kind = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), None)
    if kind is not None:
        raise InputError(
            f"{label} is no text: by its first bytes it is {kind}. Unpack it, or name it by its kind."
        )
    if data.count(0) * 4 > len(data):
        raise InputError(
            f"{label} is no UTF-8: many of its bytes are 0, as in UTF-16 or UTF-32; convert the file to UTF-8, for "
            "instance with iconv."
        )


def _utf8(data: bytes, label: str, lines: int, position: int) -> str:
    if position == 0:
        _check_text(data, label)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = lines + 1 + before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n")
        raise InputError(
            f"{label} is not UTF-8: byte 0x{data[error.start]:02X} at position {position + error.start}, in line "
            f"{line}; convert the file to UTF-8, for instance with iconv."
        ) from None
