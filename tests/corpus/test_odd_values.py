"""Values that Arrow or pandas would convert obligingly: kept exactly, or refused by row."""

from collections import namedtuple
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pandas as pd
import pytest

from layerscope.corpus.corpus import open_corpus
from layerscope.errors import InputError


def kept(source, name="l"):
    corpus = open_corpus(source, text="text", keep=[name])
    _ = corpus.schema
    return [value for rows in corpus.chunks(64) for value in rows.kept.column(name).to_pylist()]


def of(values):
    return [{"text": "a", "l": value} for value in values]


@pytest.mark.parametrize(
    ("values", "row"),
    [
        ([date(2020, 1, 1), datetime(2020, 1, 1, 5, 30)], 1),
        ([pd.Timestamp("2020-01-01 00:00:00.123456789")], 0),
        ([pd.Timedelta("1ns")], 0),
        ([time(5, tzinfo=UTC)], 0),
        ([time(5), time(6, tzinfo=UTC)], 1),
        ([[date(2020, 1, 1)], [datetime(2020, 1, 1, 5)]], 1),
    ],
)
def test_what_would_lose_something_is_refused_by_row(values, row):
    with pytest.raises(InputError, match=f"Column 'l' of a list holds .* in row {row} "):
        kept(of(values))


@pytest.mark.parametrize(
    "values",
    [
        [date(2020, 1, 1), None],
        [datetime(2020, 1, 1, 5, 30, 0, 7), datetime(2021, 1, 1)],
        [datetime(2020, 1, 1, tzinfo=UTC)],
        [time(5, 0, 0, 1)],
        [timedelta(days=3, microseconds=1)],
        [Decimal("1.10"), Decimal("2.5")],
        [pd.Timestamp("2020-01-01 00:00:00.123456")],
    ],
)
def test_what_arrow_holds_exactly_is_kept(values):
    assert kept(of(values)) == values


def test_categories_of_numbers_with_gaps():
    frame = pd.DataFrame({"text": ["a", "b"], "l": pd.Categorical([3, None])})
    assert kept(frame) == [3, None]


def test_named_tuples_are_rows_with_columns():
    frame = pd.DataFrame({"text": ["a", "b"], "label": ["x", "y"]})
    corpus = open_corpus(frame.itertuples(index=False), text="text", keep=["label"])
    assert not corpus.has_pairs
    (rows,) = corpus.chunks(64)
    assert (rows.texts, rows.kept.column("label").to_pylist()) == (["a", "b"], ["x", "y"])
    Row = namedtuple("Row", ["text", "pair"])
    assert not open_corpus([Row("a", "b")], text="text").has_pairs


def test_a_query_of_duckdb(tmp_path):
    import duckdb

    corpus = open_corpus(duckdb.sql("select 'a' as text union all select 'b'"))
    assert sorted(text for rows in corpus.chunks(64) for text in rows.texts) == ["a", "b"]
