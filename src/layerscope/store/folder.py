"""The folder of an extraction: parts written beside their place and renamed, one writer at a time."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO, Any

from layerscope.errors import InputError, StorageError, brief
from layerscope.store import manifest as manifests
from layerscope.store.manifest import Manifest
from layerscope.store.part import Part

LOCK = ".lock"
_WRITING = ".writing-"
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class Folder:
    """A folder on this machine, or on any file system that fsspec reaches.

    Attributes:
        name: as it was given.
        files: the fsspec file system.
        root: its path there.
    """

    name: str
    files: Any
    root: str

    @classmethod
    def at(cls, place: str | PurePath) -> Folder:
        """The folder at a path or address; it need not be there yet."""
        if not isinstance(place, str | PurePath) or not str(place).strip():
            raise InputError(f"The folder of features is a path or an address, not {brief(place)}.")
        from fsspec.core import url_to_fs

        name = os.path.expanduser(str(place))
        try:
            files, root = url_to_fs(name)
        except (ImportError, ValueError) as error:
            raise InputError(f"{name} cannot be reached: {error}") from error
        return cls(str(place), files, root.rstrip("/") or "/")

    @property
    def is_local(self) -> bool:
        """Whether it is on a file system of this machine, with locks and renaming."""
        return bool(self.files.protocol == "file" or "file" in self.files.protocol)

    @property
    def is_there(self) -> bool:
        """Whether the folder exists."""
        with self._said():
            return bool(self.files.isdir(self.root))

    def path(self, file: str) -> str:
        """Where a file of the folder is, for `files`."""
        return f"{self.root}/{file}"

    def make(self, inside: str = "") -> None:
        """Make the folder, or one inside; that they are there already is no matter.

        Raises:
            StorageError: it cannot be made.
        """
        with self._said():
            self.files.makedirs(self.path(inside) if inside else self.root, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only writer; the folder is made if it is not there. Object stores know no locks.

        Raises:
            StorageError: another process writes here, or the folder cannot be made.
        """
        self.make()
        if not self.is_local:
            yield
            return
        from filelock import FileLock, Timeout

        try:
            held = FileLock(self.path(LOCK)).acquire(timeout=0)
        except Timeout:
            raise StorageError(
                f"Another process writes to {self.name}. Wait for it to end, or choose another folder."
            ) from None
        except OSError as error:
            raise StorageError(_sentence(self.name, error)) from error
        with held:  # the file of the lock stays, or else two could hold it
            self.sweep()
            yield

    def features(self) -> Manifest:
        """The manifest of a folder that must have one.

        Raises:
            StorageError: there are no features there, or the manifest cannot be read.
        """
        found = self.read_manifest() if self.is_there else None
        if found is None:
            what = "are no features in" if self.is_there else "is no folder"
            raise StorageError(f"There {what} {self.name}.")
        return found

    def read_manifest(self) -> Manifest | None:
        """The manifest, None in a folder that has none.

        Raises:
            StorageError: it cannot be read, or the folder holds other things without one.
        """
        with self._said():
            self.files.invalidate_cache()  # another process may have written since
            if self.files.exists(self.path(manifests.NAME)):
                text = _text(self.files.cat_file(self.path(manifests.NAME)))
                names = [f"{manifests.PARTS}/{name}" for name in self._names(manifests.PARTS)]
                # Not `cat`, which takes a path for a glob; many at once, where the file system can.
                lists = self.files.cat_ranges(list(map(self.path, names)), None, None, on_error="raise")
                return Manifest.read(text, dict(zip(names, map(_text, lists), strict=True)), self.name)
            others = [name for name in self._names() if not name.startswith(".")]
        if others:
            raise StorageError(
                f"{self.name} holds other files ({_first(others)}) and no {manifests.NAME}: choose a new folder."
            )
        return None

    def write(self, name: str, text: str) -> None:
        """Put a text in its place, whole or not at all."""
        with self.writing(name) as file:
            file.write(text.encode())

    @contextmanager
    def writing(self, name: str, check: Callable[[str], None] = lambda place: None) -> Iterator[IO[bytes]]:
        """A file to write to; it takes its place when all is written and checked, and is gone if that fails.

        `check` is given where the written file lies. An object store has no place beside: it shows a file
        whole, when it is closed, so that it is checked where it will stay.

        Raises:
            StorageError: it cannot be written; the message says why.
        """
        place = self.path(name)
        beside = place
        if self.is_local:
            beside = self.path(f"{_WRITING}{name.replace('/', '-')}-{uuid.uuid4().hex[:8]}")
        file = None
        try:
            with self._said():
                file = open(beside, "wb") if self.is_local else self.files.open(beside, "wb")  # noqa: SIM115
                yield file
                file.flush()
                if self.is_local:
                    os.fsync(file.fileno())
                file.close()
                check(beside)
                if self.is_local:
                    os.replace(beside, place)
                    _sync_folder(os.path.dirname(place))
        except BaseException:
            with suppress(Exception):
                if file is not None:
                    file.discard() if hasattr(file, "discard") else file.close()
            if self.is_local:
                with suppress(OSError):
                    os.remove(beside)
            raise

    def sum(self, place: str) -> tuple[int, str]:
        """The size and the SHA-256 of a file, read back from where it lies."""
        digest, size = hashlib.sha256(), 0
        with self._said(), self.files.open(place, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
        return size, digest.hexdigest()

    def has(self, part: Part) -> bool:
        """Whether a part is there, of the size that it was written in."""
        place = self.path(part.file)
        with self._said():
            return bool(self.files.exists(place) and self.files.size(place) == part.bytes)

    def holds(self, name: str, sha256: str) -> bool:
        """Whether a file is to be seen here, with this checksum."""
        with self._said():
            self.files.invalidate_cache()
            return bool(self.files.exists(self.path(name))) and self.sum(self.path(name))[1] == sha256

    def lost(self, parts: Iterable[Part], thorough: bool = False) -> list[str]:
        """The parts that are not there, or are not as they were written: by size, or by checksum too.

        Sizes are those of one listing of the folder: of an object store, a request for a thousand parts.
        """
        with self._said():
            sizes = self._sizes()
        return [
            part.file
            for part in parts
            if sizes.get(part.file) != part.bytes
            or (thorough and self.sum(self.path(part.file))[1] != part.sha256)
        ]

    def remove(self, names: Iterable[str]) -> None:
        """Remove files that may be there."""
        for name in names:
            with self._said(), suppress(FileNotFoundError):
                self.files.rm_file(self.path(name))

    def sweep(self) -> None:
        """Take away what writers left behind that were killed."""
        if self.is_local:
            self.remove(name for name in self._names() if name.startswith(_WRITING))

    def _names(self, inside: str = "") -> list[str]:
        """The names of what lies in the folder, or in one inside; of none if that is not there."""
        return sorted(self._sizes(inside))

    def _sizes(self, inside: str = "") -> dict[str, int]:
        """The sizes of what lies there, by name."""
        place = self.path(inside) if inside else self.root
        with suppress(FileNotFoundError):
            if self.is_local:  # fsspec holds a dictionary for each file, of a kilobyte or two
                with os.scandir(place) as entries:
                    return {entry.name: entry.stat(follow_symlinks=False).st_size for entry in entries}
            return {one["name"].rsplit("/", 1)[-1]: one["size"] for one in self.files.ls(place, detail=True)}
        return {}

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Say what the file system says, in one sentence."""
        try:
            yield
        except OSError as error:
            raise StorageError(_sentence(self.name, error)) from error


def _sentence(name: str, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk of {name} is full. Make room and run the same again: it goes on behind what is whole."
        )
    return f"{name} cannot be written or read: {error.strerror or error}."


def _sync_folder(root: str) -> None:
    """Make a new name in a folder outlive a crash of the machine."""
    if os.name != "posix":
        return
    handle = os.open(root, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def _text(content: bytes) -> str:
    return content.decode(errors="replace")
