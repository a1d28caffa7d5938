"""Labels as users give them: one for each text, and none that a reader would take for another."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Set
from typing import Any

from layerscope.errors import InputError, brief

# What takes no room on a screen: soft hyphens, joiners, marks of direction.
_INVISIBLE = re.compile(
    "[\N{SOFT HYPHEN}\N{ZERO WIDTH SPACE}-\N{RIGHT-TO-LEFT MARK}\N{WORD JOINER}\N{ZERO WIDTH NO-BREAK SPACE}]"
)


def listed(given: Any, name: str) -> list[Any]:
    """A list, array, Series or iterator of labels as a list.

    Raises:
        InputError: something else; sets have no order, and a table or mapping has names in place of labels.
    """
    is_other = isinstance(given, str | bytes | bytearray | Mapping | Set) or hasattr(given, "columns")
    if is_other or not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0:
        raise InputError(f"{name} is a list, one for each text, or the name of a column; not {brief(given)}.")
    if getattr(getattr(given, "dtype", None), "kind", "") in ("M", "m"):
        raise InputError(f"{name} is a list of text or numbers; these are dates or times.")
    return given.tolist() if getattr(given, "ndim", 0) == 1 and hasattr(given, "tolist") else list(given)


def check_distinct(given: Iterable[str], name: str) -> None:
    """Raise an `InputError` if two of these differ only in what cannot be seen: white space, or the encoding."""
    seen: dict[str, str] = {}
    for one in dict.fromkeys(given):
        other = seen.setdefault(_looks(one), one)
        if other != one:
            raise InputError(
                f"The {name}s {other!a} and {one!a} look alike and are two; write them in one way."
            )


def _looks(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", _INVISIBLE.sub("", name)).split())
