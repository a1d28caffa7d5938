"""A digest of values: the same for the same values, however they are stored.

Two lists or Arrow arrays have equal digests if and only if their values are equal. How Arrow cut them into
chunks, where a slice starts, what lies beneath a null, whether its strings have 32 or 64 bit offsets or
stand in a dictionary: none of it counts.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

# What stands for "no text" in lists and tables; all are the same to a digest.
MISSING = ("NoneType", "NAType", "NaTType")


class Digest:
    """A SHA-256 that lists and Arrow columns are added to, one after another."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def hexdigest(self) -> str:
        """What was added so far, as 64 hexadecimal digits."""
        return self._hash.hexdigest()

    def add_name(self, name: str) -> None:
        """Add a name; the digest of ("ab", "c") is not that of ("a", "bc")."""
        self._add(name.encode(errors="surrogatepass"))

    def add_list(self, values: list[Any]) -> None:
        """Add texts, and whatever stands where a text should."""
        others = {at: _other(value) for at, value in enumerate(values) if not isinstance(value, str)}
        strings = ["" if at in others else value for at, value in enumerate(values)] if others else values
        self._add(np.fromiter(map(len, strings), dtype="<i8", count=len(strings)).tobytes())
        self._add("".join(strings).encode(errors="surrogatepass"))
        self._add(
            "".join(f"{at}:{len(shown)}:{shown}" for at, shown in others.items()).encode("utf-8", "replace")
        )

    def add_column(self, column: pa.ChunkedArray) -> None:
        """Add the type and the values of a column of a table."""
        import pyarrow as pa

        chunks = column.chunks or [pa.array([], column.type)]
        self._add_array(chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks))

    def _add(self, data: bytes) -> None:
        self._hash.update(len(data).to_bytes(8, "little"))
        self._hash.update(data)

    def _add_array(self, array: pa.Array) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = array.type
        if isinstance(kind, pa.BaseExtensionType):
            self.add_name(str(kind))
            return self._add_array(array.storage)
        if pa.types.is_dictionary(kind):
            return self._add_array(array.dictionary_decode())
        if str(kind) in _PLAIN:
            return self._add_array(array.cast(_PLAIN[str(kind)]))
        valid = pc.is_valid(array).to_numpy(zero_copy_only=False)
        self._add(np.packbits(valid).tobytes())
        if pa.types.is_struct(kind):
            self.add_name(f"struct {len(array)} {[field.name for field in kind]}")
            for part in array.flatten():  # these are null where the struct is
                self._add_array(part)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            self.add_name("list")
            self._add(pc.list_value_length(array).fill_null(0).to_numpy().astype("<i8").tobytes())
            self._add_array(array.flatten())  # leaves out what lies beneath a null
        elif pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
            self.add_name(f"{kind}")
            filled = array.fill_null("" if pa.types.is_large_string(kind) else b"")
            self._add(pc.binary_length(filled).to_numpy().astype("<i8").tobytes())
            self._add(_bytes_of_strings(filled))
        elif pa.types.is_primitive(kind) and kind.bit_width % 8 == 0:
            self.add_name(f"{kind} {len(array)}")
            self._add(_fixed(array, valid))
        else:
            self.add_name(f"{kind}")
            self.add_name(repr(array.to_pylist()))
        return None


# Types that hold the same values; the wider stands for both.
_PLAIN = {
    "string": "large_string",
    "string_view": "large_string",
    "binary": "large_binary",
    "binary_view": "large_binary",
}


def _other(value: object) -> str:
    """What stands for a value that is no string: its kind and how it is shown."""
    if isinstance(value, np.generic):
        value = value.item()
    kind = type(value).__name__
    if kind in MISSING or (isinstance(value, float) and math.isnan(value)):
        return "missing"
    # Where an object shows only its address, that would differ in each run.
    return kind if type(value).__repr__ is object.__repr__ else f"{kind} {value!r}"


def _bytes_of_strings(array: pa.Array) -> bytes:
    """The bytes of all strings of a large_string or large_binary array without nulls, end to end."""
    if len(array) == 0:
        return b""
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, dtype="<i8", count=len(array) + 1, offset=array.offset * 8)
    return b"" if data is None else bytes(memoryview(data)[int(ends[0]) : int(ends[-1])])


def _fixed(array: pa.Array, valid: NDArray[np.bool_]) -> bytes:
    """The bytes of an array of numbers, times or the like, zero where it is null."""
    width = array.type.bit_width // 8
    data = array.buffers()[1]
    if len(array) == 0 or data is None:
        return b""
    rows = np.frombuffer(data, np.uint8, count=len(array) * width, offset=array.offset * width)
    return np.where(valid[:, None], rows.reshape(-1, width), 0).astype(np.uint8).tobytes()
