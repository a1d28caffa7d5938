"""`File`: a file of a corpus, and how it is opened: local or remote, compressed or not."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import posixpath
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any, BinaryIO

from layerscope.corpus.rows import arrow
from layerscope.errors import InputError
from layerscope.shown import first_line

# What is read, by suffix.
KINDS = {
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
UNPACK: dict[str, Callable[[Any], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": lambda packed: arrow().CompressedInputStream(arrow().PythonFile(packed, mode="r"), "zstd"),
}
STDIN = "standard input"


@dataclass(frozen=True)
class Files:
    """Names of files, globs, folders and addresses, where a list of strings would be taken for texts."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class File:
    """A file of a corpus."""

    path: str  # within its file system
    label: str  # relative to the folder that all files share; what messages and the column `file` say
    system: Any = None  # an fsspec file system; None for this computer's

    @property
    def is_stdin(self) -> bool:
        """Whether this is standard input, which can be read only once."""
        return self.path == "-"

    @property
    def kind(self) -> str | None:
        """One of the values of `KINDS`, by suffix; None for an unknown one."""
        return KINDS.get(PurePosixPath(self._unpacked_name).suffix)

    @property
    def packing(self) -> str | None:
        """The suffix that says how it is compressed, if it is."""
        suffix = PurePosixPath(self._name).suffix
        return suffix if suffix in UNPACK else None

    @contextmanager
    def packed(self) -> Iterator[BinaryIO]:
        """The file as it is stored, opened; what reading it raises becomes an `InputError`."""
        if self.is_stdin:
            if sys.stdin is None:
                raise InputError("Standard input is closed; name a file, or pipe one in.")
            yield sys.stdin.buffer
            return
        try:
            with (
                open(self.path, "rb") if self.system is None else self.system.open(self.path, "rb") as stream
            ):
                yield stream
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            if isinstance(error, PermissionError):
                raise InputError(f"{self.label} may not be read: permission denied.") from error
            reason = (getattr(error, "strerror", None) or first_line(error)).strip(" .:")
            raise InputError(f"{self.label} cannot be read: {reason}.") from error

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The file, opened and unpacked."""
        with self.packed() as stream:
            if self.packing is None:
                yield stream
            else:
                if self._size() == 0:
                    raise InputError(
                        f"{self.label} is empty, and no {self.packing} file: was it cut off while it was copied?"
                    )
                with UNPACK[self.packing](stream) as unpacked:
                    yield unpacked

    def _size(self) -> int | None:
        """Bytes, as far as it is known."""
        if self.system is None:
            return os.path.getsize(self.path)
        size: int | None = self.system.size(self.path)
        return size

    @property
    def _name(self) -> str:
        name = self.path.split("?")[0] if "://" in self.path else self.path
        return posixpath.basename(name.replace("\\", "/")).lower()

    @property
    def _unpacked_name(self) -> str:
        return self._name.removesuffix(self.packing or "")


def name_of(files: list[File]) -> str:
    """What the files are called together, for messages."""
    if len(files) == 1:
        return files[0].label
    first = ", ".join(file.label for file in files[:2])
    return f"{len(files)} files: {first}{', …' if len(files) > 2 else ''}"
