"""Values that Arrow or pandas would convert obligingly: kept exactly, or refused by row."""

from collections import namedtuple
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from datasets import Dataset

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
@pytest.mark.parametrize(
    "table", [of, lambda values: pd.DataFrame(of(values), dtype=object)], ids=["list", "frame"]
)
def test_what_would_lose_something_is_refused_by_row(values, row, table):
    with pytest.raises(InputError, match=f"Column 'l' of a (list|DataFrame) holds .* in row {row} "):
        kept(table(values))


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


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (2**64, "which does not fit in 64 bits. Make its values strings"),
        (-(2**63) - 1, "which does not fit in 64 bits"),
        (1j, "for which there is no type of column"),
        (object(), "for which there is no type of column"),
        ({1}, "for which there is no type of column"),
        (np.zeros((2, 2)), "for which there is no type of column"),
        (torch.ones(2), "for which there is no type of column"),
        (pd.NA, "Give None for a missing value"),
        (pd.NaT, "Give None for a missing value"),
        ("\ud800", "which is not valid Unicode"),
    ],
)
@pytest.mark.parametrize(
    "table", [of, lambda values: pd.DataFrame(of(values), dtype=object)], ids=["list", "frame"]
)
def test_what_no_column_can_hold_is_said_to_be_that(value, says, table):
    if value is pd.NA or value is pd.NaT:
        table = of  # in a DataFrame they are missing values
    with pytest.raises(InputError, match=says) as error:
        kept(table([None, value]))
    assert "row 1 (from 0)" in str(error.value)
    assert "\n" not in str(error.value)


def test_complex_columns_are_refused():
    with pytest.raises(InputError, match="cannot be kept: Arrow has no type for pandas' complex"):
        kept(pd.DataFrame(of([1j, 2j])))


def test_sparse_columns_are_kept():
    frame = pd.DataFrame({"text": ["a", "b"], "l": pd.arrays.SparseArray([0, 1])})
    assert kept(frame) == [0, 1]


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1, 2], pl.Int128), ([1, 2], pl.UInt128), ([{1}, {2}], pl.Object), ([[1], [2]], pl.List(pl.Int128))],
)
def test_columns_of_polars_that_arrow_lacks(values, kind):
    frame = pl.DataFrame({"text": ["a", "b"], "l": pl.Series(values, dtype=kind)})
    assert [text for rows in open_corpus(frame, text="text").chunks(8) for text in rows.texts] == ["a", "b"]
    with pytest.raises(
        InputError, match="Column 'l' of a DataFrame has the polars type .*cast it, or leave it out"
    ):
        kept(frame)
    with pytest.raises(InputError, match="Column 'text' of a DataFrame has the polars type Object"):
        open_corpus(pl.DataFrame({"text": pl.Series(["a"], dtype=pl.Object)}))


def test_a_dataset_is_read_as_its_transform_gives_it():
    plain = Dataset.from_dict({"text": ["ab", "cd"], "l": [1, 2]})
    upper = plain.with_transform(
        lambda batch: {"text": [text.upper() for text in batch["text"]], "l": [-one for one in batch["l"]]}
    )
    rows = next(open_corpus(upper, text="text", keep=["l"]).chunks(8))
    assert (rows.texts, rows.kept.column("l").to_pylist()) == (["AB", "CD"], [-1, -2])
    assert kept(plain.with_format("numpy")) == [1, 2]
    less = plain.with_transform(lambda batch: {"text": batch["text"]})
    with pytest.raises(InputError, match="Unknown column in a Dataset, 'l'; known: text"):
        kept(less)
