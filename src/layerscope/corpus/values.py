"""Python values as an Arrow column whose type the first rows decide.

Arrow alone would be too obliging: a float 2.5 becomes the integer 2, True the float 1, a time loses its zone, and
what a struct has no field for is dropped. So each value is checked first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from layerscope.corpus.rows import arrow
from layerscope.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

# Python's own types that surely fit; what is not here is looked at value by value.
SURE: dict[str, set[type]] = {
    "int64": {int, type(None)},
    "double": {int, float, type(None)},
    "string": {str, type(None)},
    "bool": {bool, type(None)},
}


def type_of(values: list[Any], name: str, where: str) -> pa.DataType:
    """The Arrow type of these values; string if none of them is there.

    Raises:
        InputError: no type fits all of them, or Arrow has none for one; the message shows it.
    """
    kind, number = _inferred(values)
    if number is not None:
        raise _misfit(values[number], number, kind, name, where)
    column_of(values, name, kind, where, start=0)
    return kind


def column_of(values: list[Any], name: str, kind: pa.DataType, where: str, start: int) -> pa.Array:
    """The values as an array of this type; the first is that of row `start`.

    Raises:
        InputError: one does not fit the type; the message names column, row, value and type.
    """
    if not set(map(type, values)) <= SURE.get(str(kind), set()):
        for number, value in enumerate(values):
            if not _fits(value, kind):
                raise _misfit(value, start + number, kind, name, where)
    try:
        return arrow().array(values, kind)
    except _failures():
        for number, value in enumerate(values):
            if not _converts(value, kind):
                raise _misfit(value, start + number, kind, name, where) from None
        raise


def _inferred(values: list[Any]) -> tuple[pa.DataType, int | None]:
    """The type of the values, or that of those before the first that goes with no type, and its number."""
    pa = arrow()
    good, bad = 0, len(values) + 1  # so many values have a type, so many have none
    kind = pa.null()
    at = len(values)
    while good + 1 < bad:
        try:
            kind = pa.array(values[:at]).type
            good = at
        except _failures():
            bad = at
        at = (good + bad) // 2
    return _without_null(kind), None if good == len(values) else good


def _without_null(kind: pa.DataType) -> pa.DataType:
    """This type with strings where nothing but nulls was seen."""
    pa = arrow()
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_without_null(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _without_null(field.type)) for field in kind])
    return kind


def _fits(value: Any, kind: pa.DataType) -> bool:
    """Whether a value has this type as it is, nothing cut, cast or left out."""
    types = arrow().types
    if value is None:
        return True
    if types.is_boolean(kind):
        return isinstance(value, bool | np.bool_)
    if types.is_integer(kind):
        return isinstance(value, int | np.integer) and not isinstance(value, bool)
    if types.is_floating(kind):
        return isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if types.is_string(kind):
        return isinstance(value, str)
    if types.is_binary(kind):
        return isinstance(value, bytes)
    if types.is_struct(kind):
        fields = {field.name: field.type for field in kind}
        return isinstance(value, Mapping) and all(
            name in fields and _fits(part, fields[name]) for name, part in value.items()
        )
    if types.is_list(kind):
        return isinstance(value, list | tuple | np.ndarray) and all(
            _fits(part, kind.value_type) for part in value
        )
    return _comes_back(value, kind)


def _comes_back(value: Any, kind: pa.DataType) -> bool:
    """Whether a date, time, decimal or the like is what it was when it is read again: no zone, no nanosecond less."""
    try:
        back = arrow().array([value], kind)[0].as_py()
        return bool(back == value)
    except _failures():
        return False


def _converts(value: Any, kind: pa.DataType) -> bool:
    try:
        arrow().array([value], kind)
    except _failures():
        return False
    return True


def _failures() -> tuple[type[Exception], ...]:
    """What Arrow raises for a value that it cannot take."""
    return (arrow().ArrowException, OverflowError, UnicodeError, TypeError, ValueError)


def _has_type(value: Any) -> bool:
    """Whether a column of Arrow can hold this value, as it is."""
    try:
        return _fits(value, arrow().array([value]).type)
    except _failures():
        return False


def _misfit(value: object, row: int, kind: object, name: str, where: str) -> InputError:
    if not _has_type(value):
        return _without_type(value, row, name, where)
    return InputError(
        f"Column {name!r} of {where} holds {_shown(value)} in row {row} (from 0), which does not fit {kind}, the "
        "type of the column's first rows; make its values of one type, or leave it out."
    )


def _without_type(value: object, row: int, name: str, where: str) -> InputError:
    """The error for a value that no column can hold."""
    why, instead = "for which there is no type of column", "Make its values numbers, strings or lists of such"
    if isinstance(value, int):
        why, instead = "which does not fit in 64 bits", "Make its values strings"
    elif isinstance(value, str):
        why, instead = "which is not valid Unicode", "Replace it"
    elif type(value).__name__ in ("NAType", "NaTType"):
        why, instead = "which no column can hold", "Give None for a missing value"
    return InputError(
        f"Column {name!r} of {where} holds {_shown(value)} in row {row} (from 0), {why}. {instead}, or leave the "
        "column out."
    )


def _shown(value: object) -> str:
    shown = " ".join(repr(value).split())
    return f"{type(value).__name__} {shown if len(shown) <= 40 else shown[:37] + '...'}"
