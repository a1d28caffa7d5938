"""Where a model came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """The name that a model was asked for by, and the files that were found there.

    Attributes:
        name: a Hub id, a path, or for a model that somebody else loaded what it calls itself.
        folder: where its files are on this machine.
        revision: the commit, for a Hub id.
        weights: its weight files.
    """

    name: str
    folder: Path | None = None
    revision: str | None = None
    weights: tuple[Path, ...] = ()

    def checksums(self) -> dict[str, str]:
        """The SHA-256 of each weight file, by its name; all of them are read."""
        return {path.name: sha256(path) for path in self.weights}


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
