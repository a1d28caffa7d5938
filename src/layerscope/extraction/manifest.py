"""The manifest of an extraction: what decides its rows, and which parts are there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from layerscope.errors import StorageError
from layerscope.extraction.part import Part, check, check_parts, is_a

NAME = "_manifest.json"
FORMAT = "layerscope features"
SCHEMA_VERSION = 1

# The fields beside the parts, and what they hold.
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
    "rows": int,
    "errors": int,
    "tokens": int,
    "parts": list,
}


@dataclass(frozen=True)
class Manifest:
    """What stands in `_manifest.json`.

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
        """Read a manifest, and believe nothing of it that cannot be; `where` is named if it is none.

        Raises:
            StorageError: it is no manifest, is damaged, or of a later version.
        """
        try:
            values = json.loads(text)
            is_ours = isinstance(values, dict) and values.pop("format", None) == FORMAT
        except (ValueError, RecursionError):
            is_ours = False
        if not is_ours:
            raise StorageError(f"{where} is no manifest of features; its folder holds something else.")
        version = values.pop("schema_version", None)
        if version != SCHEMA_VERSION:
            about = values.get("about")
            versions = about.get("versions") if isinstance(about, dict) else None
            writer = versions.get("layerscope", "unknown") if isinstance(versions, dict) else "unknown"
            raise StorageError(
                f"{where} has schema version {version}, and this Layerscope reads {SCHEMA_VERSION}: use the one "
                f"that wrote it ({writer})."
            )
        try:
            _check(values)
            parts = tuple(Part(**part) for part in values.pop("parts"))
            check_parts(parts, values["part_rows"], values["complete"])
            sums = {name: values.pop(name) for name in ("rows", "errors", "tokens")}
            read = cls(
                parts=parts, complete=values.pop("complete"), about=values.pop("about"), settings=values
            )
            check(sums == {name: getattr(read, name) for name in sums}, "its sums are not those of its parts")
        except ValueError as error:
            raise StorageError(f"{where} is damaged, or was changed: {error}.") from error
        return read


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
    for one in values["parts"]:
        check(
            is_a(one, dict) and set(one) == {field.name for field in fields(Part)}, "a part has other fields"
        )


def _is_column(value: Any) -> bool:
    if not is_a(value, dict) or set(value) != {"feature", "width"}:
        return False
    return is_a(value["feature"], str) and is_a(value["width"], int) and value["width"] > 0
