"""Corpora in memory: lists, iterators, tables of every library."""

import datasets
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from layerscope.corpus.corpus import open_corpus
from layerscope.errors import InputError

ROWS = [{"text": "one", "n": 1}, {"text": "two", "n": 2}, {"text": None, "n": None}]


def read(source, size=2, start=0, **options):
    """Texts, pairs and kept columns of a corpus."""
    chunks = list(open_corpus(source, **options).chunks(size, start))
    texts = [text for chunk in chunks for text in chunk.texts]
    pairs = [pair for chunk in chunks for pair in chunk.pairs or []]
    return texts, pairs, [row for chunk in chunks for row in chunk.kept.to_pylist()]


TEXTS = ["one", "two", "", "three"]


@pytest.mark.parametrize(
    "source",
    [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        pd.Series(TEXTS, index=[4, 3, 2, 1]),
        pd.Index(TEXTS),
        pl.Series(TEXTS),
        pa.array(TEXTS),
        pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
        dict.fromkeys(TEXTS).keys(),
        datasets.Dataset.from_dict({"text": TEXTS})["text"],
        pd.DataFrame({"a": TEXTS}),
        pl.DataFrame({"a": TEXTS}),
        pa.table({"a": TEXTS}),
        pa.RecordBatch.from_pydict({"a": TEXTS}),
        datasets.Dataset.from_dict({"a": TEXTS}),
        datasets.Dataset.from_dict({"a": TEXTS}).to_iterable_dataset(),
    ],
    ids=lambda source: f"{type(source).__module__}.{type(source).__name__}",
)
def test_texts_from_anything_that_can_be_read_again(source):
    if not isinstance(source, type({}.keys())):
        corpus = open_corpus(source)
        assert corpus.count in (4, None)
        for _ in range(2):
            assert [chunk.texts for chunk in corpus.chunks(3)] == [TEXTS[:3], TEXTS[3:]]
            assert [chunk.texts for chunk in corpus.chunks(2, start=1)] == [TEXTS[1:3], TEXTS[3:]]
        assert list(corpus.chunks(3, start=4)) == []
        assert all(type(text) is str for chunk in corpus.chunks(2) for text in chunk.texts)
    else:
        with pytest.raises(InputError, match="A dict_keys has no order"):
            open_corpus(source)


def streamed():
    yield from ROWS


@pytest.mark.parametrize(
    "source",
    [
        ROWS,
        pd.DataFrame(ROWS).astype({"n": "Int64"}),
        pl.DataFrame(ROWS),
        pa.Table.from_pylist(ROWS),
        datasets.Dataset.from_list(ROWS),
        datasets.Dataset.from_list(ROWS[::-1]).select([2, 1, 0]),
        datasets.Dataset.from_list(ROWS).to_iterable_dataset(),
        datasets.IterableDataset.from_generator(streamed),
        iter(ROWS),
        pa.Table.from_pylist(ROWS).to_reader(max_chunksize=1),
    ],
    ids=lambda source: f"{type(source).__module__}.{type(source).__name__}",
)
def test_columns_from_any_table(source):
    corpus = open_corpus(source, text="text", id="n", keep=["text"])
    assert corpus.schema.names == ["n", "text"]
    assert corpus.schema.field("n").type == pa.int64()
    (chunk,) = corpus.chunks(5)
    assert chunk.kept.schema == corpus.schema
    assert chunk.texts[:2] == ["one", "two"]
    assert pd.isna(chunk.texts[2])
    assert chunk.kept["n"].to_pylist() == [1, 2, None]


def test_texts_are_as_found():
    odd = ["a", None, 3, float("nan"), b"x", ["y"]]
    for source in (
        odd,
        iter(odd),
        pd.DataFrame({"text": odd}),
        pd.Series(odd),
        [{"text": one} for one in odd],
    ):
        texts, _, _ = read(source)
        assert repr(texts) == repr(odd)
    assert read([{"text": "a", "n": 1}, "b", {"n": 2}, None], keep=["n"]) == (
        ["a", "b", None, None],
        [],
        [{"n": 1}, {"n": None}, {"n": 2}, {"n": None}],
    )


def test_pairs():
    assert read([("a", "b"), "c", ("d", None), ("e",)])[:2] == (
        ["a", "c", "d", ("e",)],
        ["b", None, None, None],
    )
    for source in (
        [{"x": "a", "y": "b"}],
        pd.DataFrame({"x": ["a"], "y": ["b"]}),
        pa.table({"x": ["a"], "y": ["b"]}),
    ):
        assert open_corpus(source, text="x", pair="y").has_pairs
        assert read(source, text="x", pair="y")[:2] == (["a"], ["b"])
    assert not open_corpus(("a", "b")).has_pairs
    assert open_corpus(["a"]).chunks(1).__next__().pairs is None


def test_a_dataset_is_read_in_slices(monkeypatch):
    data = datasets.Dataset.from_dict({"text": [str(n) for n in range(5000)], "n": range(5000)})
    monkeypatch.setattr(type(data), "__iter__", lambda self: pytest.fail("row by row"))
    texts, _, kept = read(data, 700, keep=["n"])
    assert texts == [str(row["n"]) for row in kept] == [str(n) for n in range(5000)]


def test_dictionaries_become_what_they_hold():
    for source in (
        pd.DataFrame({"text": ["a", "b"], "c": pd.Categorical(["x", "y"])}),
        pl.DataFrame({"text": ["a", "b"], "c": pl.Series(["x", "y"], dtype=pl.Categorical)}),
        pa.table({"text": ["a", "b"], "c": pa.array(["x", "y"]).dictionary_encode()}),
        pa.table({"text": ["a", "b"], "c": pa.RunEndEncodedArray.from_arrays([1, 2], ["x", "y"])}),
    ):
        corpus = open_corpus(source, text="text", keep=["c"])
        assert corpus.schema.field("c").type in (pa.string(), pa.large_string())
        assert [row.kept.to_pylist() for row in corpus.chunks(1)] == [[{"c": "x"}], [{"c": "y"}]]
    assert open_corpus(pd.DataFrame({"c": pd.Categorical(["x"]), "n": [1]})).count == 1


def test_names_that_are_numbers_and_indices_that_are_odd():
    frame = pd.DataFrame([["a", 1], ["b", 2]], index=[7, 7])
    assert read(frame, keep=["1"]) == (["a", "b"], [], [{"1": 1}, {"1": 2}])


def test_an_iterator_is_not_read_far_ahead():
    seen = 0

    def texts():
        nonlocal seen
        for seen in range(1, 1_000_001):
            yield f"text {seen}"

    chunks = open_corpus(texts()).chunks(100)
    assert seen == 1000
    for number, chunk in zip(range(30), chunks, strict=False):
        assert chunk.texts[0] == f"text {number * 100 + 1}"
    assert seen == 3000


def test_an_iterator_can_be_read_once():
    corpus = open_corpus(iter(TEXTS))
    assert corpus.name == "a tuple_iterator" or corpus.name == "a list_iterator"
    assert [chunk.texts for chunk in corpus.chunks(2, start=3)] == [["three"]]
    with pytest.raises(InputError, match="This corpus, a list_iterator, can be read only once, and was"):
        corpus.chunks(2)


def test_nothing():
    for source in ([], iter([]), pd.DataFrame({"text": []}), pa.table({"text": pa.array([], pa.string())})):
        assert list(open_corpus(source).chunks(3)) == []
    corpus = open_corpus([], text="body", pair="other", id="n", keep=["m"])
    assert (corpus.schema.names, corpus.has_pairs, list(corpus.chunks(1))) == (["n", "m"], True, [])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([None, None], pa.string()),
        ([1, None], pa.int64()),
        ([1, 2.5], pa.float64()),
        (["a"], pa.string()),
        ([True], pa.bool_()),
        ([["a"], []], pa.list_(pa.string())),
        ([[]], pa.list_(pa.string())),
        ([{"a": 1}, {"b": None}], pa.struct([("a", pa.int64()), ("b", pa.string())])),
    ],
)
def test_the_first_rows_decide_the_type(values, kind):
    rows = [{"text": "a", "v": value} for value in values]
    assert open_corpus(rows, text="text", keep=["v"]).schema.field("v").type == kind


@pytest.mark.parametrize(
    ("first", "later", "message"),
    [
        (1, 2.0, r"Column 'v' of a list holds float 2.0 in row 1500 \(from 0\), which does not fit int64"),
        (1, True, "bool True in row 1500"),
        (1, "x", "str 'x' in row 1500 .* fit int64"),
        (1, 2**70, "int 1180591620717411303424 in row 1500"),
        ("a", 3, "int 3 in row 1500 .* fit string"),
        ("a", b"x", "bytes b'x' in row 1500"),
        ("a", "\ud800", r"str '\\ud800' in row 1500"),
        (["a"], [1], r"list \[1\] in row 1500"),
        ({"a": 1}, {"a": 1, "b": 2}, "dict {'a': 1, 'b': 2} in row 1500"),
        (None, 1, "int 1 in row 1500 .* fit string"),
    ],
)
def test_a_value_of_another_type_is_refused(first, later, message):
    rows = [{"text": "a", "v": first}] * 1500 + [{"text": "a", "v": later}]
    with pytest.raises(InputError, match=message):
        list(open_corpus(rows, text="text", keep=["v"]).chunks(400))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, "x"], "str 'x' in row 1 .*fit int64"),
        ([1, True], "bool True in row 1 .*fit int64"),
        (["a", 3], "int 3 in row 1 .*fit string"),
        (["a", b"x"], "str 'a' in row 0 .*fit binary"),
        ([["a"], [1]], r"list \[1\] in row 1 "),
        (["a", "\ud800"], r"str '\\ud800' in row 1 "),
        ([*range(700), 0.5, "x"], "str 'x' in row 701 .*fit double"),
    ],
)
def test_the_first_rows_must_agree(values, message):
    rows = [{"text": "a", "v": value} for value in values]
    with pytest.raises(InputError, match=message):
        open_corpus(rows, text="text", keep=["v"])


def test_a_column_without_any_type():
    with pytest.raises(InputError, match="Column 'v' of a list holds object <object .* in row 0"):
        open_corpus([{"text": "a", "v": object()}], text="text", keep=["v"])
    with pytest.raises(InputError, match="Column 'v' of a DataFrame holds str 'x' in row 1"):
        open_corpus(pd.DataFrame({"text": ["a", "b"], "v": [1, "x"]}), text="text", keep=["v"])


async def nobody():
    """A coroutine, which is no corpus."""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"text": ["a"]}, "dict {'text': .* is one row at most; give a list of dicts, or a table"),
        (b"abc", "bytes b'abc' is no corpus: decode it"),
        (3, "int 3 is no corpus: a corpus is a list of texts, a table, a Dataset, or the name of a file"),
        (None, "NoneType None is no corpus"),
        (nobody, "function <function nobody .* is no corpus"),
        ({"a", "b"}, "A set has no order; give a list"),
        (str, "<class 'str'> is a class, not a corpus"),
        (np.array([["a"]]), r"An array of shape \(1, 1\) is no list of texts"),
        (
            datasets.DatasetDict(train=datasets.Dataset.from_dict({"a": ["b"]})),
            r"A DatasetDict has splits: 'train'; give one, like data\['train'\]",
        ),
        (pl.DataFrame({"a": ["b"]}).lazy(), "LazyFrame .* is no corpus"),
    ],
    ids=lambda one: None if isinstance(one, str) else type(one).__name__,
)
def test_what_is_no_corpus(source, message):
    with pytest.raises(InputError, match=message):
        open_corpus(source)


def test_a_coroutine_and_an_open_file_are_no_corpus(tmp_path):
    waiting = nobody()
    with pytest.raises(InputError, match="coroutine .* is no corpus"):
        open_corpus(waiting)
    waiting.close()
    with (
        (tmp_path / "a.txt").open("w+") as stream,
        pytest.raises(InputError, match="open file is not read; give its"),
    ):
        open_corpus(stream)
