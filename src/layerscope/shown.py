"""Strings as people see them: white space made visible, what is too long cut."""

from __future__ import annotations

from collections.abc import Iterable

_WHITE_SPACE = str.maketrans({" ": "·", "\n": "⏎", "\t": "⇥", "\r": "␍"})


def visible(string: str) -> str:
    """A token with its white space made visible: " ghost" as "·ghost", a newline as "⏎"; "∅" for nothing."""
    return (
        "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in string.translate(_WHITE_SPACE)) or "∅"
    )


def shorten(text: str, most: int) -> str:
    """The beginning of a text that is too long for its place."""
    return text if len(text) <= most else text[: most - 1] + "…"


def last_part(name: str) -> str:
    """The last part of a model's name, which may be a path: "all-MiniLM-L6-v2".

    >>> last_part("sentence-transformers/all-MiniLM-L6-v2")
    'all-MiniLM-L6-v2'
    """
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2]


def first_line(error: BaseException, most: int = 200) -> str:
    """What an error of another library says, in one line; its type's name where it says nothing."""
    lines = str(error).strip().splitlines()
    return shorten(lines[0], most) if lines else type(error).__name__


def size(shape: Iterable[int]) -> str:
    """The shape of an array as people write it.

    >>> size((7, 17, 384))
    '7 × 17 × 384'
    """
    return " × ".join(map(str, shape))


def counted(number: int, what: str) -> str:
    """How many there are, in words: one is no plural.

    >>> counted(1, "text"), counted(1200, "text")
    ('1 text', '1,200 texts')
    """
    return f"{number:,} {what}{'s' * (number != 1)}"
