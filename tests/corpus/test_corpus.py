"""Chunks are the rows whatever the container, and columns are named as they should be."""

import json
import tempfile
import tracemalloc
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerscope.corpus.corpus import open_corpus
from layerscope.errors import InputError

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
ROWS = st.lists(
    st.fixed_dictionaries({"text": TEXTS | st.none(), "id": TEXTS, "n": st.integers(-9, 9)}), min_size=1
)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, size=st.integers(1, 9), start=st.integers(0, 9))
def test_chunks_and_digests_do_not_depend_on_the_container(rows, size, start):
    table = pa.Table.from_pylist(
        rows, pa.schema([("text", pa.string()), ("id", pa.string()), ("n", pa.int64())])
    )
    with tempfile.TemporaryDirectory() as folder:
        as_json = Path(folder, "a.jsonl")
        as_json.write_text("".join(json.dumps(row) + "\n" for row in rows))
        parquet = Path(folder, "a.parquet")
        pq.write_table(table, parquet, row_group_size=2)
        sources = [rows, iter(rows), table, pd.DataFrame(rows), pl.DataFrame(table), as_json, parquet]
        found = []
        for source in sources:
            chunks = list(
                open_corpus(source, text="text", pair="id", id="id", keep=["n"]).chunks(size, start)
            )
            assert [chunk.start for chunk in chunks] == list(range(start, len(rows), size))
            assert all(len(chunk) == size for chunk in chunks[:-1])
            texts = [None if pd.isna(text) else text for chunk in chunks for text in chunk.texts]
            assert texts == [row["text"] for row in rows[start:]]
            assert [pair for chunk in chunks for pair in chunk.pairs] == [row["id"] for row in rows[start:]]
            assert [row for chunk in chunks for row in chunk.kept.to_pylist()] == [
                {"id": row["id"], "n": row["n"]} for row in rows[start:]
            ]
            found.append([chunk.digest() for chunk in chunks])
        assert all(digests == found[0] for digests in found)


def test_memory_does_not_grow():
    def peak(number):
        texts = (f"text {n} " + "x" * 1000 for n in range(number))
        tracemalloc.start()
        for _ in open_corpus(texts).chunks(100):
            pass
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(30_000) < 1.2 * peak(3_000)


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        ({"a": [1]}, "a"),
        ({"a": [1], "b": ["x"]}, "b"),
        ({"a": ["x"], "text": ["y"]}, "text"),
        ({"a": ["x"], "text": [1]}, "a"),
    ],
)
def test_the_column_of_texts_is_found(columns, chosen):
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    for source in (rows, pd.DataFrame(columns), pa.table(columns), pl.DataFrame(columns)):
        assert next(open_corpus(source).chunks(1)).texts == columns[chosen]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Which column of a DataFrame holds the texts. Name it by text=; there are: body, title, n"),
        (
            {"text": "bodi"},
            "Unknown column in a DataFrame, 'bodi'; known: body, title, n. Did you mean 'body'",
        ),
        ({"text": "body", "pair": "x"}, "Unknown column in a DataFrame, 'x'"),
        ({"text": "body", "id": "x"}, "Unknown column in a DataFrame, 'x'"),
        ({"text": "body", "keep": ["x"]}, "Unknown column in a DataFrame, 'x'"),
        ({"text": "body", "keep": "n"}, r"keep is a list of names of columns; give keep=\['n'\]"),
        ({"text": "body", "id": "n", "keep": ["n"]}, "Column 'n' is named twice in id= and keep="),
        (
            {"text": "body", "segment": "lines"},
            "Unknown segment 'lines'; known: line, paragraph, document. Did you",
        ),
        (
            {"text": "body", "segment": "document"},
            "segment='document' is for text files; a DataFrame has rows of its own",
        ),
    ],
)
def test_columns_that_do_not_fit(options, message):
    frame = pd.DataFrame({"body": ["a"], "title": ["b"], "n": [1]})
    with pytest.raises(InputError, match=message):
        open_corpus(frame, **options)


def test_plain_texts_have_no_columns():
    assert next(open_corpus(["a"], text="text").chunks(1)).texts == ["a"]
    for options in ({"text": "body"}, {"id": "n"}, {"keep": ["n"]}, {"pair": "n"}):
        with pytest.raises(
            InputError, match="A list is of plain texts: it has no columns, so no '(body|n)'; give a"
        ):
            open_corpus(["a"], **options)


def test_tables_without_a_choice():
    with pytest.raises(InputError, match="A DataFrame has no columns; one of them is to hold the texts"):
        open_corpus(pd.DataFrame(index=[1, 2]))
    for twice in (pa.table([["a"], ["b"]], ["x", "x"]), pd.DataFrame([["a", "b"]], columns=["x", "x"])):
        with pytest.raises(InputError, match="has more than one column 'x'; rename all but one"):
            open_corpus(twice, text="x")


def test_a_unit_is_for_text_files(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text\na\n")
    with pytest.raises(InputError, match="segment='paragraph' is for text files; a.csv has rows of its own"):
        open_corpus(path, segment="paragraph")


@pytest.mark.parametrize(("size", "start"), [(0, 0), (1, -1)])
def test_ranges_that_are_none(size, start):
    with pytest.raises(
        InputError, match=f"size={size}, start={start}: a size is 1 or more, a start 0 or more"
    ):
        open_corpus(["a"]).chunks(size, start)
