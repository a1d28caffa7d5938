"""A part of a folder of features: one file of consecutive rows, and the line that lists it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from layerscope.errors import InputError

# The most parts that a folder has; the number in a file's name has six digits.
MOST_PARTS = 1_000_000

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
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

    @property
    def number(self) -> int:
        """Its number among the parts, from 0."""
        return int(self.file.removeprefix("part-").removesuffix(".parquet"))

    def to_line(self) -> str:
        """As a line of JSON; the same for the same part."""
        return json.dumps({name: getattr(self, name) for name in _FIELDS})

    @classmethod
    def from_line(cls, line: str) -> Part:
        """The part that a line lists.

        Raises:
            ValueError: it lists none; the message says why.
        """
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            values = None
        check(isinstance(values, dict) and set(values) == set(_FIELDS), "a line lists no part")
        return cls(**values)


_FIELDS = tuple(field.name for field in fields(Part))


def part_file(number: int) -> str:
    """The name of a part's file.

    Raises:
        InputError: a folder has no more parts.
    """
    if number >= MOST_PARTS:
        raise InputError(
            f"A folder has {MOST_PARTS:,} parts at most: give part_rows= a larger number, or divide the corpus."
        )
    return f"part-{number:06d}.parquet"


def check(holds: bool, why: str) -> None:
    """Raise a `ValueError` that says why, unless it holds."""
    if not holds:
        raise ValueError(why)


def check_parts(parts: Sequence[Part], part_rows: int, complete: bool) -> None:
    """Raise a `ValueError` unless parts are files of the folder, in order, and of as many rows as they must have."""
    for place, part in enumerate(parts):
        numbers = (part.start, part.rows, part.tokens, part.errors, part.bytes)
        check(all(is_a(one, int) and one >= 0 for one in numbers), f"part {place} has numbers that cannot be")
        number, rest = divmod(part.start, part_rows)
        check(
            not rest and number < MOST_PARTS and part.file == part_file(number),
            f"part {place} is {part.file!r}, from row {part.start}",
        )
        check(
            1 <= part.rows <= part_rows and part.errors <= part.rows,
            f"{part.file} cannot have {part.rows} rows",
        )
        sums = (part.sha256, part.corpus_sha256)
        check(
            all(is_a(one, str) and bool(_SHA256.fullmatch(one)) for one in sums),
            f"{part.file} has no checksum",
        )
        if place:
            before = parts[place - 1]
            check(before.start < part.start, f"{part.file} stands behind {before.file}")
            check(before.rows == part_rows, f"{before.file} is short, and not the last")
            check(
                not complete or before.start + part_rows == part.start, f"rows are missing before {part.file}"
            )
    check(not complete or not parts or parts[0].start == 0, "rows are missing before the first part")


def is_a(value: Any, kind: type) -> bool:
    """Whether a value read from JSON is of a type; True and False are no numbers."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
