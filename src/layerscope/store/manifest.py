"""The manifest of a folder of features: what was computed, of what, by what; and its parts with their checksums.

What was computed stands in `_manifest.json`, written when a run begins and when it ends. The parts are listed in
files of their own, a line each, `_parts/000000.jsonl` for the first thousand, `_parts/001000.jsonl` for the next: a
part that is made costs one such file to be written anew, however many parts there are, on a disk as in an object
store, where nothing can be appended to a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from layerscope.errors import StorageError
from layerscope.store.part import Part, check, check_parts, is_a

NAME = "_manifest.json"
PARTS = "_parts"
FORMAT = "layerscope features"
SCHEMA_VERSION = 2

# Parts that a file lists.
LISTED = 1000

# The fields of `_manifest.json`, and what they hold.
_FIELDS: dict[str, type] = {
    "model": dict,
    "features": list,
    "columns": dict,
    "dtype": str,
    "column_dtype": str,
    "long_texts": dict,
    "corpus": dict,
    "schema": dict,
    "on_error": str,
    "part_rows": int,
    "about": dict,
    "complete": bool,
    "totals": dict,
}


@dataclass(frozen=True)
class Manifest:
    """What stands in `_manifest.json`, and the parts that are listed beside it.

    Attributes:
        settings: all that decides what the rows are; with other settings it is another extraction.
        about: what is good to know and decides nothing: names, versions, the precision check.
        parts: those that are whole, in order; while it is under way, some may be missing in between.
        complete: whether the corpus was read to its end.
    """

    settings: Mapping[str, Any]
    about: Mapping[str, Any]
    parts: tuple[Part, ...] = field(default=())
    complete: bool = False

    @property
    def rows(self) -> int:
        """How many rows are there."""
        return self.totals["rows"]

    @property
    def errors(self) -> int:
        """How many rows have an error."""
        return self.totals["errors"]

    @property
    def tokens(self) -> int:
        """How many tokens the rows have."""
        return self.totals["tokens"]

    @cached_property
    def totals(self) -> dict[str, int]:
        """How many parts there are, and the sums of their rows, tokens, errors and bytes."""
        return totals(self.parts)

    def without(self, files: Iterable[str]) -> Manifest:
        """Without these parts, so that they are made again."""
        lost = set(files)
        parts = tuple(part for part in self.parts if part.file not in lost)
        return replace(self, parts=parts, complete=self.complete and len(parts) == len(self.parts))

    def differences(self, settings: Mapping[str, Any]) -> list[str]:
        """Where other settings differ from these, as "field: theirs, not ours"."""
        mine, theirs = dict(_flat(self.settings)), dict(_flat(settings))
        return [
            f"{name} is {_shown(theirs.get(name))}, and was {_shown(mine.get(name))}"
            for name in [*theirs, *(mine.keys() - theirs.keys())]
            if theirs.get(name) != mine.get(name)
        ]

    @classmethod
    def read(cls, text: str, lists: Mapping[str, str], where: str) -> Manifest:
        """Read a manifest, and believe nothing of it that cannot be.

        Args:
            text: of `_manifest.json`.
            lists: the texts of the files that list parts, by their names in the folder.
            where: the folder, for messages.

        Raises:
            StorageError: it is no manifest, is damaged, or of a later version.
        """
        place = f"{where}/{NAME}"
        try:
            values = json.loads(text)
            is_ours = isinstance(values, dict) and values.pop("format", None) == FORMAT
        except (ValueError, RecursionError):
            is_ours = False
        if not is_ours:
            raise StorageError(f"{place} is no manifest of features; its folder holds something else.")
        version = values.pop("schema_version", None)
        if version != SCHEMA_VERSION:
            about = values.get("about")
            versions = about.get("versions") if isinstance(about, dict) else None
            writer = versions.get("layerscope", "unknown") if isinstance(versions, dict) else "unknown"
            raise StorageError(
                f"{place} has schema version {version}, and this Layerscope reads {SCHEMA_VERSION}: use the one "
                f"that wrote it ({writer}), or run the extraction again into a new folder."
            )
        try:
            _check(values)
            complete, totals = values.pop("complete"), values.pop("totals")
            parts: list[Part] = []
            for name, listed in sorted(lists.items()):
                place = f"{where}/{name}"
                parts.extend(map(Part.from_line, listed.splitlines()))
            check_parts(parts, values["part_rows"], complete)
            place = f"{where}/{NAME}"
            read = cls(parts=tuple(parts), complete=complete, about=values.pop("about"), settings=values)
            check(not complete or totals == read.totals, "its totals are not those of its parts")
        except ValueError as error:
            raise StorageError(f"{place} is damaged, or was changed: {error}.") from error
        return read


def header(manifest: Manifest, totals: Mapping[str, int]) -> str:
    """What stands in `_manifest.json`; the same for the same rows, whenever and wherever they were made."""
    values = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        **manifest.settings,
        "about": manifest.about,
        "complete": manifest.complete,
        "totals": totals,
    }
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def totals(parts: Iterable[Part]) -> dict[str, int]:
    """How many parts these are, and the sums of their rows, tokens, errors and bytes."""
    sums = dict.fromkeys(("parts", "rows", "tokens", "errors", "bytes"), 0)
    for part in parts:
        sums["parts"] += 1
        for name in ("rows", "tokens", "errors", "bytes"):
            sums[name] += getattr(part, name)
    return sums


def list_of(number: int) -> str:
    """The name of the file that lists the part of a number."""
    return f"{PARTS}/{number // LISTED * LISTED:06d}.jsonl"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _check(values: Mapping[str, Any]) -> None:
    """Raise a `ValueError` unless these are the fields of a manifest, each of its type."""
    check(set(values) == set(_FIELDS), f"its fields are not {', '.join(_FIELDS)}")
    for name, kind in _FIELDS.items():
        check(is_a(values[name], kind), f"{name} is no {kind.__name__}")
    check(values["part_rows"] >= 1, "part_rows is below 1")
    columns, schema = values["columns"], values["schema"]
    check(all(_is_column(one) for one in columns.values()), "columns is no list of features and widths")
    check(all(is_a(one, str) for one in schema.values()), "schema does not give a type for each column")
    check(columns.keys() <= schema.keys(), "columns names what schema does not have")
    check(all(is_a(one, str) for one in values["features"]), "features is no list of features")
    check(values["column_dtype"] in ("float32", "float16"), "column_dtype is neither float32 nor float16")
    about = values["about"]
    check(
        is_a(about.get("model"), dict) and is_a(about["model"].get("name"), str),
        "about does not name the model",
    )
    check("precision_check" in about, "about does not say how the precision was checked")
    check(all(is_a(one, int) for one in values["totals"].values()), "totals holds what is no number")


def _is_column(value: Any) -> bool:
    if not is_a(value, dict) or set(value) != {"feature", "width"}:
        return False
    return is_a(value["feature"], str) and is_a(value["width"], int) and value["width"] > 0
