"""The manifest of an extraction: what decides its rows, and which parts are there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from layerscope.errors import StorageError

NAME = "manifest.json"
FORMAT = "layerscope features"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Part:
    """One file of consecutive rows.

    Attributes:
        file: its name in the folder.
        start: the number of its first row in the corpus.
        rows: how many there are.
        tokens: how many tokens they have.
        errors: how many of them have an error.
        bytes: the size of the file.
        sha256: the checksum of the file.
        corpus_sha256: the checksum of the rows of the corpus that it was made from.
    """

    file: str
    start: int
    rows: int
    tokens: int
    errors: int
    bytes: int
    sha256: str
    corpus_sha256: str


@dataclass(frozen=True)
class Manifest:
    """What stands in `manifest.json`.

    Attributes:
        settings: all that decides what the rows are; with other settings it is another extraction.
        about: what is good to know and decides nothing: names, versions, the precision check.
        parts: those that are whole, in order; by file name while it is under way, some may be missing.
        complete: whether the corpus was read to its end.
    """

    settings: Mapping[str, Any]
    about: Mapping[str, Any]
    parts: tuple[Part, ...] = field(default=())
    complete: bool = False

    @property
    def rows(self) -> int:
        """How many rows are there."""
        return sum(part.rows for part in self.parts)

    @property
    def errors(self) -> int:
        """How many rows have an error."""
        return sum(part.errors for part in self.parts)

    @property
    def tokens(self) -> int:
        """How many tokens the rows have."""
        return sum(part.tokens for part in self.parts)

    def with_part(self, part: Part) -> Manifest:
        """With one part more, or anew."""
        others = [other for other in self.parts if other.start != part.start]
        return replace(self, parts=tuple(sorted([*others, part], key=lambda one: one.start)))

    def without(self, files: set[str]) -> Manifest:
        """Without these parts, so that they are made again."""
        parts = tuple(part for part in self.parts if part.file not in files)
        return replace(self, parts=parts, complete=self.complete and len(parts) == len(self.parts))

    def differences(self, settings: Mapping[str, Any]) -> list[str]:
        """Where other settings differ from these, as "field: theirs, not ours"."""
        mine, theirs = dict(_flat(self.settings)), dict(_flat(settings))
        return [
            f"{name} is {_shown(theirs.get(name))}, and was {_shown(mine.get(name))}"
            for name in [*theirs, *(mine.keys() - theirs.keys())]
            if theirs.get(name) != mine.get(name)
        ]

    def to_json(self) -> str:
        """As text; the same for the same rows, whenever and wherever they were made."""
        values = {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            **self.settings,
            "about": self.about,
            "complete": self.complete,
            "rows": self.rows,
            "errors": self.errors,
            "tokens": self.tokens,
            "parts": [asdict(part) for part in self.parts],
        }
        return json.dumps(values, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> Manifest:
        """Read a manifest; `where` is named if it is none.

        Raises:
            StorageError: it is no manifest, or of a later version.
        """
        try:
            values = json.loads(text)
            if values.pop("format") != FORMAT:
                raise KeyError("format")
            version = values.pop("schema_version")
            about = values.pop("about")
            if version == SCHEMA_VERSION:
                read = tuple(Part(**part) for part in values.pop("parts"))
                complete = values.pop("complete")
                for name in ("rows", "errors", "tokens"):
                    values.pop(name)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StorageError(
                f"{where} is no manifest of features; its folder holds something else."
            ) from error
        if version != SCHEMA_VERSION:
            raise StorageError(
                f"{where} has schema version {version}, and this Layerscope reads {SCHEMA_VERSION}: use the one "
                f"that wrote it ({about.get('versions', {}).get('layerscope', 'unknown')})."
            )
        return cls(values, about, read, complete)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else shown[:57] + "..."
