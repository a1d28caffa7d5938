"""Checking a folder of features: what is damaged or missing; and forgetting it, so that it is made again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from layerscope.store.folder import Folder
from layerscope.store.record import forget
from layerscope.store.stored import Stored


@dataclass(frozen=True)
class Check:
    """What a check of a folder found.

    Attributes:
        folder: as it was given.
        damaged: parts that are gone or not as they were written, by file name, with their first and last row.
        missing: the first and last row of each stretch that is in no part, though a later one is there.
        complete: whether the corpus was read to its end.
    """

    folder: str
    damaged: dict[str, tuple[int, int]]
    missing: tuple[tuple[int, int], ...]
    complete: bool

    @property
    def passed(self) -> bool:
        """Whether every row of the corpus is there, as it was written."""
        return self.complete and not self.damaged and not self.missing

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        damaged = [{"file": file, "rows": list(rows)} for file, rows in self.damaged.items()]
        missing = [list(rows) for rows in self.missing]
        about = {"folder": self.folder, "passed": self.passed, "complete": self.complete}
        return about | {"damaged": damaged, "missing": missing}


def check(out: str | PurePath) -> Check:
    """Read every part of a folder and compare it with its checksum; nothing is written.

    Raises:
        StorageError: there are no features there, or they cannot be read.
    """
    folder = Folder.at(out)
    manifest = folder.features()
    lost = set(folder.lost(manifest.parts, thorough=True))
    damaged = {
        part.file: (part.start, part.start + part.rows - 1) for part in manifest.parts if part.file in lost
    }
    gaps = tuple(Stored(folder, manifest).gaps())
    return Check(folder.name, damaged, gaps, manifest.complete)


def repair(out: str | PurePath) -> Check:
    """Forget the damaged parts of a folder: the next `extract` into it makes them again, as they were.

    What is left of their files stays until then.

    Returns:
        what was found before.

    Raises:
        StorageError: there are no features there, or somebody is writing to them.
    """
    folder = Folder.at(out)
    folder.features()
    with folder.locked():
        found = check(out)
        if found.damaged:
            forget(folder, folder.features(), found.damaged)
    return found
