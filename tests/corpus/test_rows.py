"""Digests say what the values are, not how they are stored; ranges have the size asked for."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerscope.corpus.rows import Rows, in_ranges


def rows(texts, pairs=None, start=0, **kept):
    table = pa.table(kept) if kept else pa.table({"x": pa.nulls(len(texts))}).select([])
    return Rows(start, texts, pairs, table)


def kept(array):
    return Rows(0, [""] * len(array), None, pa.table({"x": array})).digest()


ARRAYS = {
    "integers": pa.array([1, None, 3, 4], pa.int32()),
    "floats": pa.array([1.5, None, float("nan"), 4]),
    "booleans": pa.array([True, None, False, True]),
    "strings": pa.array(["a", None, "", "dé"]),
    "bytes": pa.array([b"a", None, b"", b"\xff"]),
    "times": pa.array([datetime(2020, 1, 1, tzinfo=UTC), None, None, datetime(2021, 1, 1, tzinfo=UTC)]),
    "decimals": pa.array([Decimal("1.5"), None, Decimal("2.5"), Decimal("9.9")]),
    "lists": pa.array([["a", None], None, [], ["b"]]),
    "vectors": pa.array([[1, 2], None, [3, 4], [5, 6]], pa.list_(pa.int64(), 2)),
    "structs": pa.array([{"a": 1, "b": ["x"]}, None, {"a": None, "b": None}, {"a": 2, "b": []}]),
    "maps": pa.array([[("k", 1)], None, [], [("l", 2)]], pa.map_(pa.string(), pa.int64())),
    "nothing": pa.nulls(4),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_digest_does_not_see_slices_and_chunks(name):
    array = ARRAYS[name]
    sliced = pa.concat_arrays([array, array]).slice(4, 4)
    chunked = pa.chunked_array([array[:1], array[1:1], array[1:]])
    assert kept(array) == kept(sliced) == kept(chunked)
    assert kept(array) != kept(pa.chunked_array([array[1:], array[:1]])) or name == "nothing"
    assert kept(array[:3]) != kept(array)
    assert kept(array[:0]) == kept(pa.chunked_array([], array.type))


def test_a_digest_does_not_see_what_lies_beneath_a_null():
    validity = pa.py_buffer(b"\x05")
    numbers = [
        pa.Array.from_buffers(pa.int64(), 3, [validity, pa.py_buffer(np.array([1, hidden, 3]).tobytes())])
        for hidden in (2, 9)
    ]
    assert numbers[0].null_count == 1
    assert kept(numbers[0]) == kept(numbers[1]) == kept(pa.array([1, None, 3]))


def test_a_digest_does_not_see_how_strings_are_stored():
    texts = ["a", None, "a", "b"]
    array = pa.array(texts)
    for kind in (pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())):
        assert kept(array) == kept(array.cast(kind))
    assert kept(array) != kept(pa.array([b"a", None, b"a", b"b"]))


def test_a_digest_sees_values_types_names_and_borders():
    digests = [
        rows(["ab", "c"]).digest(),
        rows(["a", "bc"]).digest(),
        rows(["ab", "c"], pairs=["", ""]).digest(),
        rows(["ab", None]).digest(),
        rows(["ab", ""]).digest(),
        rows(["ab", 3]).digest(),
        rows(["ab", "3"]).digest(),
        rows(["ab", "\ud800"]).digest(),
        rows(["ab", "c"], x=pa.array([1, 2])).digest(),
        rows(["ab", "c"], y=pa.array([1, 2])).digest(),
        rows(["ab", "c"], x=pa.array([1, 2], pa.int32())).digest(),
        rows(["ab", "c"], x=pa.array(["1", "2"])).digest(),
        rows(["ab", "c"], x=pa.array([1, None])).digest(),
    ]
    assert len(set(digests)) == len(digests)
    assert rows(["ab", "c"]).digest() == rows(["ab", "c"], start=7).digest()


def test_a_missing_text_is_the_same_however_it_is_marked():
    marks = [None, float("nan"), np.nan, np.float64("nan"), pd.NA, pd.NaT]
    assert len({rows(["a", mark]).digest() for mark in marks}) == 1
    assert rows([np.str_("a")]).digest() == rows(["a"]).digest()
    assert rows([object()]).digest() == rows([object()]).digest()


@given(st.lists(st.one_of(st.text(), st.none(), st.integers())), st.integers(1, 9), st.integers(1, 9))
def test_ranges_are_of_the_size_asked_for(texts, size, step):
    whole = rows(texts, pairs=texts[::-1], n=pa.array(range(len(texts)), pa.int64()))
    ranges = list(in_ranges([whole.part(at, step) for at in range(0, len(texts), step)], size))
    assert all(len(part) == size for part in ranges[:-1])
    assert [part.start for part in ranges] == list(range(0, len(texts), size))
    assert [text for part in ranges for text in part.texts] == texts
    assert [text for part in ranges for text in part.pairs] == texts[::-1]
    assert [n for part in ranges for n in part.kept["n"].to_pylist()] == list(range(len(texts)))
    assert [part.digest() for part in ranges] == [whole.part(part.start, size).digest() for part in ranges]
