"""Which files a corpus is in: from paths, folders, globs and addresses to `File`s."""

from __future__ import annotations

import glob
import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from layerscope.corpus.files import KINDS, STDIN, UNPACK, File
from layerscope.errors import InputError

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+(::\S+|://\S*)", re.IGNORECASE)


def find(names: tuple[str, ...], is_text_possible: bool = False) -> list[File]:
    """The files that these names mean: each a path, a folder, a glob, an address or "-" for standard input.

    Those of a folder or glob come sorted by path.

    Raises:
        InputError: nothing is there; files of several kinds, or of none that is known.
            `is_text_possible` adds how a text is given, for it might have been meant.
    """
    if "-" in names:
        if len(names) > 1:
            raise InputError(
                "Standard input '-' is read alone; leave the other files out, or give it as a file."
            )
        return [File("-", STDIN)]
    found = [file for name in names for file in _found(name, is_text_possible)]
    if not found:
        raise InputError("No file was named; give at least one.")
    for file in found:
        if file.kind is None:
            raise InputError(
                f"{file.label} is of no kind that is known by its suffix; known: {', '.join(KINDS)}, "
                f"each also with {', '.join(UNPACK)}."
            )
    kinds = sorted({file.kind or "" for file in found})
    if len(kinds) > 1:
        raise InputError(
            f"{', '.join(map(_short, names[:3]))}: files of several kinds, "
            f"{', '.join(kinds)}; give those of one kind, for instance by a glob like '*.{kinds[0]}'."
        )
    below = _length_of_folder(found)
    return [
        replace(file, label=_printable(file.path[below:].replace("\\", "/") or file.label)) for file in found
    ]


def _found(name: str, is_text_possible: bool) -> list[File]:
    """The files of one name, their labels being their base names."""
    if ADDRESS.fullmatch(name):
        return _remote(name)
    path = Path(os.path.expanduser(name))
    hint = f"; a single text goes into a list, e.g. [{_short(name)}]" if is_text_possible else ""
    if os.path.exists(path) and not os.path.isdir(path):
        return [_local(str(path))]
    if name and os.path.isdir(path):
        return _known_in(name, [_local(file) for file in sorted(_inside(path), key=_by_path)])
    if any(sign in name for sign in "*?["):
        matches = _matching(str(path))
        if not matches:
            raise InputError(f"No file matches {_short(name)}{hint}.")
        return [_local(match) for match in sorted(matches, key=_by_path)]
    raise InputError(f"There is no file {_short(name)}{hint}.")


def _remote(address: str) -> list[File]:
    """The files at an address, through fsspec."""
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(address)
        is_web = address.startswith(("http://", "https://"))  # where ? is no sign of a glob
        if any(sign in path for sign in ("*" if is_web else "*?[")):
            paths = [match for match in system.glob(path) if not system.isdir(match)]
            paths = [match for match in paths if not _is_hidden(match)]
            if not paths:
                raise InputError(f"No file matches {_short(address)}.")
        elif not is_web and system.isdir(path):
            below = len(path.rstrip("/"))
            inside = [file for file in system.find(path) if not _is_hidden(file[below:])]
            return _known_in(address, [_at(system, file) for file in sorted(inside, key=_by_path)])
        elif system.exists(path):
            paths = [path]
        else:
            raise InputError(f"There is no file {_short(address)}.")
    except InputError:
        raise
    except Exception as error:  # each file system raises errors of its own
        raise InputError(f"{_short(address)} cannot be reached: {error}.") from error
    return [_at(system, path) for path in sorted(paths, key=_by_path)]


def _known_in(folder: str, files: list[File]) -> list[File]:
    known = [file for file in files if file.kind is not None]
    if not known:
        raise InputError(
            f"The folder {_short(folder)} holds no file of a kind that is known: {', '.join(KINDS)}."
        )
    return known


def _inside(folder: Path) -> Iterator[str]:
    """All files below a folder, through links too, that are data: see `_is_data`. Each folder is read once."""
    seen = {os.path.realpath(folder)}
    for root, folders, files in os.walk(folder, followlinks=True):
        inner = [name for name in folders if not _is_hidden(name)]
        real = {name: os.path.realpath(os.path.join(root, name)) for name in inner}
        folders[:] = [name for name in inner if real[name] not in seen and not _holds_features(real[name])]
        seen |= {real[name] for name in folders}
        yield from (os.path.join(root, name) for name in files if not _is_hidden(name))


def _matching(pattern: str) -> list[str]:
    """The files that a glob matches and that are data; those of a folder that links lead to again once."""
    fixed = pattern[: min(pattern.find(sign) for sign in "*?[" if sign in pattern)]
    below = len(fixed) - len(fixed.rpartition(os.sep)[2])
    found: dict[tuple[str, str], str] = {}
    for match in glob.glob(pattern, recursive=True):
        folder, name = os.path.split(match)
        is_written = _is_hidden(os.path.basename(pattern))  # it was asked for by name
        if os.path.isfile(match) and (is_written or not _is_hidden(match[below:])):
            if len(folder) > below and _holds_features(folder):
                continue
            found.setdefault((os.path.realpath(folder), name), match)
    return list(found.values())


def _holds_features(folder: str) -> bool:
    """Whether a folder is the output of an extraction, which may lie in the folder of its corpus."""
    try:
        with open(os.path.join(folder, "_manifest.json"), "rb") as file:
            return b'"format": "layerscope features"' in file.read(200)
    except OSError:
        return False


def _printable(name: str) -> str:
    """A file's name in whole characters: bytes that are none are written as escapes."""
    return name.encode(errors="backslashreplace").decode()


def _local(path: str) -> File:
    path = os.path.abspath(path)
    return File(path, os.path.basename(path))


def _at(system: Any, path: str) -> File:
    return File(path, posixpath.basename(path.split("?")[0]), system)


def _length_of_folder(files: list[File]) -> int:
    """How much of each path is the folder that all share; of single files all but the base name.

    Where they share none, which is so only in several file systems, all of it.
    """
    if len({id(file.system) for file in files}) > 1:
        return max(len(file.path) for file in files)
    folders = [re.split(r"[/\\]" if os.sep == "\\" else "/", file.path)[:-1] for file in files]
    shared = takewhile(lambda parts: len(set(parts)) == 1, zip(*folders, strict=False))
    return sum(len(parts[0]) + 1 for parts in shared)


def _by_path(path: str) -> list[str]:
    """Sorts a folder's files together."""
    return re.split(r"[/\\]", path)


def _is_hidden(path: str) -> bool:
    """Whether a name, or that of a folder above, begins with a dot or an underscore: no data, as Spark has it too."""
    return any(part.startswith((".", "_")) for part in re.split(r"[/\\]", path))


def _short(name: str) -> str:
    """A name as it was given, cut where it is a whole text."""
    shown = repr(name)
    return shown if len(shown) <= 80 else shown[:77] + "..."
