"""What a user has in memory, as a source of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set, Sized
from io import IOBase
from itertools import islice
from typing import Any

from layerscope.corpus.columns import Source
from layerscope.corpus.frames import Frame
from layerscope.corpus.records import AHEAD, Records
from layerscope.corpus.rows import arrow
from layerscope.corpus.tables import from_dataset, from_polars, from_stream, from_streamed_dataset, from_table
from layerscope.errors import InputError

SLICE = 10_000  # values that are taken at once from what stores them otherwise than Python
WANTED = "a corpus is a list of texts, a table, a Dataset, or the name of a file"


def from_memory(given: Any) -> Source:
    """The source of rows that an object is.

    Libraries that a user may have are known by the names of their classes, and never imported.

    Raises:
        InputError: it is none; the message says what would be.
    """
    name = _named(given)
    _refuse(given, name)
    pa = arrow()
    if _is_a(given, "datasets", "Dataset"):
        # With a transform, what stands in its columns is not what it gives.
        if given.format["type"] == "custom":
            return Records(name, lambda start: _transformed(given, start), count=len(given))
        return from_dataset(name, given)
    if _is_a(given, "datasets", "IterableDataset"):
        if given.features is not None:
            return from_streamed_dataset(name, given)
        return Records(name, lambda start: islice(iter(given), start, None))
    if _is_a(given, "pandas", "DataFrame"):
        return Frame(name, given)
    if isinstance(given, pa.RecordBatch):
        given = pa.Table.from_batches([given])
    if isinstance(given, pa.Table):
        return from_table(name, given)
    if _is_a(given, "polars", "DataFrame"):
        return from_polars(name, given)
    if (cut := _cut(given)) is not None:
        return Records(name, lambda start: _in_slices(cut, start, len(given)), count=len(given))
    if hasattr(given, "__arrow_c_stream__"):
        return from_stream(name, given)
    if isinstance(given, Iterator):
        return Records(name, lambda start: islice(given, start, None), is_once=True)
    if isinstance(given, Iterable):
        count = len(given) if isinstance(given, Sized) else None
        return Records(name, lambda start: islice(iter(given), start, None), count=count)
    raise InputError(f"{_shown(given)} is no corpus: {WANTED}.")


def _refuse(given: Any, name: str) -> None:
    """Raise an `InputError` for what could be iterated over, but not as rows in an order."""
    if isinstance(given, Mapping):
        if _is_a(given, "datasets", "DatasetDict") or _is_a(given, "datasets", "IterableDatasetDict"):
            splits = ", ".join(map(repr, given))
            one = next(iter(given), "train")
            raise InputError(
                f"{name[0].upper()}{name[1:]} has splits: {splits}; give one, like data[{one!r}]."
            )
        raise InputError(f"{_shown(given)} is one row at most; give a list of dicts, or a table.")
    if isinstance(given, bytes | bytearray | memoryview):
        raise InputError(f"{_shown(given)} is no corpus: decode it to a string, and give a list of such.")
    if isinstance(given, Set):
        raise InputError(f"{name[0].upper()}{name[1:]} has no order; give a list, such as sorted(…) makes.")
    if isinstance(given, IOBase):
        raise InputError("An open file is not read; give its name.")
    if isinstance(given, type):
        raise InputError(f"{given!r} is a class, not a corpus: {WANTED}.")
    if _is_a(given, "numpy", "ndarray") and given.ndim != 1:
        raise InputError(f"An array of shape {given.shape} is no list of texts; give one of one axis.")


def _cut(given: Any) -> Callable[[int, int], list[Any]] | None:
    """What takes a slice as a list of Python's values from a sequence, if this is one."""
    if isinstance(given, list | tuple):
        return lambda start, end: list(given[start:end])
    if _is_a(given, "numpy", "ndarray"):
        return lambda start, end: given[start:end].tolist()  # type: ignore[no-any-return]
    if _is_a(given, "pandas", "Series"):
        return lambda start, end: given.iloc[start:end].tolist()  # type: ignore[no-any-return]
    if _is_a(given, "pandas", "Index") or _is_a(given, "pandas", "ExtensionArray"):
        return lambda start, end: given[start:end].tolist()  # type: ignore[no-any-return]
    if _is_a(given, "polars", "Series"):
        return lambda start, end: given[start:end].to_list()  # type: ignore[no-any-return]
    if _is_a(given, "pyarrow", "Array") or _is_a(given, "pyarrow", "ChunkedArray"):
        return lambda start, end: given[start:end].to_pylist()  # type: ignore[no-any-return]
    return None


def _in_slices(cut: Callable[[int, int], list[Any]], start: int, end: int) -> Iterator[Any]:
    for first in range(start, end, SLICE):
        yield from cut(first, min(first + SLICE, end))


def _transformed(dataset: Any, start: int) -> Iterator[Any]:
    """The rows of a Dataset as its transform gives them."""
    for first in range(start, len(dataset), AHEAD):
        columns = dataset[first : first + AHEAD]
        for values in zip(*columns.values(), strict=True):
            yield dict(zip(columns, values, strict=True))


def _is_a(given: object, library: str, name: str) -> bool:
    """Whether an object is of a class of a library, or one derived from it."""
    return any(
        kind.__name__ == name and kind.__module__.split(".")[0] == library for kind in type(given).__mro__
    )


def _named(given: object) -> str:
    """What an object is called in a sentence: "a list", "a DataFrame"."""
    kind = type(given).__name__
    kind = "array" if kind == "ndarray" else kind
    return f"{'an' if kind[0] in 'aeiouAEIO' else 'a'} {kind}"


def _shown(value: object) -> str:
    shown = repr(value)
    return f"{type(value).__name__} {shown if len(shown) <= 40 else shown[:37] + '...'}"
