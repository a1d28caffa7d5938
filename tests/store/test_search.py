"""Search is exact: the same as all cosines computed at once, whatever the parts, blocks and queries."""

import json
import tempfile

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import layerscope as ls
from layerscope.corpus.rows import Rows
from layerscope.errors import InputError, LayerscopeError, ModelError
from layerscope.store import nearest
from layerscope.store.folder import Folder
from layerscope.store.manifest import Manifest
from layerscope.store.parquet import write_part
from layerscope.store.record import Record

BANKS = [
    "He sat on the bank of the river and watched the water, as he had done every summer since he was a child.",
    "She asked the bank for a loan.",
    None,
    "They walked along the river bank.",
    "The bank lends money.",
    "Odd \ufffd signs",
]


def written(place, vectors, column_dtype="float32", rows_a_part=3, is_words=False):
    """A folder of vectors, made by hand: None is null; for words each row is a list of vectors, or null."""
    cells = [cell for row in vectors if row is not None for cell in (row if is_words else [row])]
    width = next(len(cell) for cell in cells if cell is not None)
    kind = pa.list_({"float32": pa.float32(), "float16": pa.float16()}[column_dtype], width)
    fields = [("text", pa.large_string()), ("num_tokens", pa.int32()), ("error", pa.string())]
    beside = {
        "words": pa.string(),
        "word_starts": pa.int32(),
        "word_ends": pa.int32(),
        "word_sequences": pa.int8(),
    }
    if is_words:
        fields += [(name, pa.list_(one)) for name, one in beside.items()]
    name, feature = ("words_1", "words@1") if is_words else ("mean_1", "mean@1")
    schema = pa.schema([*fields, (name, pa.list_(kind) if is_words else kind)])
    folder, parts = Folder.at(place), []
    folder.files.makedirs(folder.root, exist_ok=True)
    for start in range(0, len(vectors), rows_a_part):
        own = vectors[start : start + rows_a_part]
        values = {
            "text": [
                " ".join("w" for _ in row or []) if is_words else f"row {n}"
                for n, row in enumerate(own, start)
            ],
            "num_tokens": [1] * len(own),
            "error": [None] * len(own),
            name: own,
        }
        if is_words:
            values["words"] = [None if row is None else ["w"] * len(row) for row in own]
            values["word_starts"] = [None if row is None else [2 * n for n in range(len(row))] for row in own]
            values["word_ends"] = [
                None if row is None else [2 * n + 1 for n in range(len(row))] for row in own
            ]
            values["word_sequences"] = [None if row is None else [0] * len(row) for row in own]
        table = pa.table({field.name: pa.array(values[field.name], field.type) for field in schema}, schema)
        rows = Rows(start, values["text"], None, pa.table({}))
        halves = [table.slice(0, 2), table.slice(2)] if len(table) > 2 else [table]  # two row groups
        parts.append(write_part(folder, len(parts), rows, halves, schema))
    settings = {
        "model": {},
        "features": [feature],
        "on_error": "row",
        "part_rows": rows_a_part,
        "columns": {name: {"feature": feature, "width": width}},
        "dtype": "float32",
        "column_dtype": column_dtype,
        "long_texts": {"long": "window"},
        "corpus": {"id": None},
        "schema": {field.name: str(field.type) for field in schema},
    }
    record = Record(
        folder, Manifest(settings, {"model": {"name": "by hand"}, "precision_check": None}, (), False)
    )
    record.add(parts)
    record.complete()
    return ls.open_features(place)


def brute(query, vectors, k):
    """The (place, cosine) of the k nearest of (place, vector or None), all at once in float64."""
    there = [(place, np.asarray(v, np.float64)) for place, v in vectors if v is not None and np.any(v)]
    cosines = [v @ query / np.linalg.norm(v) / np.linalg.norm(query) for _, v in there]
    order = np.argsort(-np.round(cosines, 9), kind="stable")[:k] if there else []
    return [(there[n][0], cosines[n]) for n in order]


# Few values, so that there are many ties.
VECTORS = st.lists(st.sampled_from([-1.0, 0.0, 1.0, 2.0]), min_size=3, max_size=3)


@settings(max_examples=40)
@given(
    rows=st.lists(VECTORS | st.none(), min_size=1, max_size=12).filter(
        lambda rows: any(row is not None for row in rows)
    ),
    queries=st.lists(VECTORS.filter(any), min_size=1, max_size=3),
    k=st.integers(1, 14),
    column_dtype=st.sampled_from(["float32", "float16"]),
    step=st.sampled_from([1, 2, 1 << 14]),
)
def test_rows_are_those_of_brute_force(rows, queries, k, column_dtype, step):
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "_VECTORS", step)
        features = written(place, rows, column_dtype)
        found = features.search(queries, k)
        for number, query in enumerate(queries):
            expected = brute(np.array(query), enumerate(rows), k)
            hits = [hit for hit in found.hits if hit["query"] == number]
            assert [hit["row"] for hit in hits] == [row for row, _ in expected]
            np.testing.assert_allclose(
                [hit["score"] for hit in hits], [score for _, score in expected], atol=1e-9
            )
            alone = features.search(query, k)
            assert list(alone.hits) == [{n: v for n, v in hit.items() if n != "query"} for hit in hits]


@settings(max_examples=40)
@given(
    rows=st.lists(st.lists(VECTORS | st.none(), max_size=4) | st.none(), min_size=1, max_size=8).filter(
        lambda rows: any(vector for row in rows for vector in row or [])
    ),
    query=VECTORS.filter(any),
    k=st.integers(1, 9),
)
def test_words_are_those_of_brute_force(rows, query, k):
    with tempfile.TemporaryDirectory() as place:
        found = written(place, rows, is_words=True).search(query, k)
        words = [((row, item), v) for row, own in enumerate(rows) for item, v in enumerate(own or [])]
        expected = brute(np.array(query), words, k)
        assert [(hit["row"], hit["start"] // 2) for hit in found.hits] == [place for place, _ in expected]


@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1, 1e30])
def test_vectors_of_any_length(tmp_path, scale):
    vectors = np.random.default_rng(0).standard_normal((50, 8))
    stored = (vectors * scale).astype(np.float32)
    found = written(tmp_path, [list(map(float, row)) for row in stored], rows_a_part=20).search(
        vectors[7] * 1e200, 5
    )
    expected = brute(vectors[7], list(enumerate(stored.astype(np.float64) / scale)), 5)
    assert [hit["row"] for hit in found.hits] == [row for row, _ in expected]
    assert found.hits[0]["row"] == 7


def test_the_same_vector_has_the_same_score_wherever_it_stands(tmp_path):
    rng = np.random.default_rng(1)
    one = rng.standard_normal(384).astype(np.float32)
    others = rng.standard_normal((61, 384)).astype(np.float32)
    rows = [[float(x) for x in row] for row in others]
    for number in (3, 17, 18, 40, 60):
        rows[number] = [float(x) for x in one]
    found = written(tmp_path, rows, rows_a_part=16).search(one + others[0], 6)
    places = [hit["row"] for hit in found.hits if hit["row"] != 0]
    assert places == [3, 17, 18, 40, 60]
    assert len({hit["score"] for hit in found.hits if hit["row"] != 0}) == 1


def test_what_is_not_finite_is_never_found(tmp_path):
    features = written(tmp_path, [[1.0, np.nan], [np.inf, 0.0], [0.0, 0.0], None, [1.0, 1.0]])
    assert features.search([1, 1], 9).to_dict() == {
        "column": "mean_1",
        "hits": [{"row": 4, "score": pytest.approx(1), "text": "row 4"}],
        "left_out": 4,
    }


def test_words_that_have_no_vector_are_counted_and_those_that_hold_nan_are_named(tmp_path):
    rows = [[[1.0, 2.0], None], None, [[0.5, 1.0]], [[3.0, np.nan]]]
    features = written(tmp_path / "f", rows, is_words=True)
    found = features.search([1, 2], 9)
    assert (len(found.hits), found.left_out) == (2, 3)
    with pytest.raises(ModelError, match="^Row 3 of .*f: 'w' holds NaN or infinity, which the model gave"):
        ls.senses(features, "w")


@pytest.fixture(scope="module")
def banks(model, tmp_path_factory):
    rows = [{"key": 10 * number, "text": text} for number, text in enumerate(BANKS)]
    return ls.extract(
        model,
        rows,
        tmp_path_factory.mktemp("banks"),
        ["mean@-1", "cls@all", "mean@-2:/concat", "words@-2:", "tokens@-1"],
        id="key",
        text="text",
        part_rows=2,
        progress=False,
    )


@pytest.mark.parametrize("column", ["mean_6", "cls_3", "mean_5to6_concat"])
def test_a_text_is_embedded_as_the_rows_were(model, banks, column):
    found = banks.search(BANKS[3], 2, column, model)
    assert found.hits[0] == {"row": 3, "score": pytest.approx(1, abs=1e-6), "id": 30, "text": BANKS[3]}
    by_vector = banks.search(banks.to_numpy(column)[3], 2, column)
    assert [hit["row"] for hit in found.hits] == [hit["row"] for hit in by_vector.hits]


def test_a_word_in_its_text(model, banks):
    found = banks.search(("She sat on the bank of the lake.", "bank"), 2, "words_5", model)
    assert [hit["id"] for hit in found.hits] == [30, 0] or [hit["id"] for hit in found.hits] == [0, 30]
    (hit,) = (hit for hit in found.hits if hit["row"] == 0)
    assert hit["context"] == "He sat on the [bank] of the river and watched the water, as …"
    assert (hit["word"], hit["start"], hit["end"]) == ("bank", 14, 18)
    assert list(found.table().columns) == ["row", "score", "id", "word", "start", "end", "context"]
    json.dumps(found.to_dict())

    same = banks.search(model.run(BANKS[1]).vector("bank", 6), 1, "words_6").hits[0]
    assert same["context"] == "She asked the [bank] for a loan."
    assert same["score"] == pytest.approx(1, abs=1e-6)
    everything = banks.search(np.ones(384), 1000, "words_6")
    assert len(everything.hits) == sum(
        vector is not None for row in banks.to_pandas(["words_6"]).words_6.dropna() for vector in row
    )
    assert not any(hit["word"] == "\ufffd" for hit in everything.hits)


def test_tokens_are_found_too_and_special_ones_have_no_place(model, banks):
    state = model.run(BANKS[1]).hidden_state(6)
    hit = banks.search(state[0], 1, "tokens_6").hits[0]
    assert (hit["row"], hit["token"], hit["context"]) == (1, "[CLS]", "[CLS]")
    hit = banks.search((BANKS[1], "loan"), 1, "tokens_6", model).hits[0]
    assert (hit["row"], hit["token"], hit["context"]) == (1, "loan", "She asked the bank for a [loan].")


def test_pairs(model, tmp_path):
    pairs = [("A river.", "The\nbank is wet."), ("A loan.", "The bank is rich.")]
    features = ls.extract(model, pairs, tmp_path, ["mean@-1", "words@-1"], progress=False)
    hit = features.search(pairs[1], 1, "mean_6", model).hits[0]
    assert hit == {"row": 1, "score": pytest.approx(1), "text": "A loan.", "pair": "The bank is rich."}
    vector = model.run(*pairs[0]).vector("bank", 6)
    hit = features.search(vector, 1, "words_6").hits[0]
    assert (hit["row"], hit["sequence"], hit["context"]) == (0, 1, "The [bank] is wet.")


def test_several_queries_are_numbered(banks):
    mean = banks.to_numpy("mean_6")
    table = banks.search(mean[[4, 1]], 2, "mean_6").table()
    assert list(table.columns) == ["query", "row", "score", "id", "text"]
    assert list(table["query"]) == [0, 0, 1, 1]
    assert list(table["row"])[::2] == [4, 1]


@pytest.mark.parametrize(
    ("query", "given", "message"),
    [
        ([1, 2, 3], {}, "The query is 3 wide, and mean_6 is 384 wide"),
        (np.full(384, np.nan), {}, "NaN or infinity"),
        (np.full((2, 384), np.inf), {}, "NaN or infinity"),
        (np.zeros(384), {}, "vector of zeros"),
        (np.ones((1, 1, 384)), {}, r"shape \(1, 1, 384\)"),
        ([], {}, r"shape \(0,\)"),
        (
            ["a", "b"],
            {},
            "A query is a vector, .* not .'a', 'b'.. Search for several texts one by one",
        ),
        (["1", "2"], {}, "Search for several texts one by one"),
        (np.array(["1", "2"]), {}, "not an ndarray. Search for several texts one by one"),
        (None, {}, "A query is a vector, .* not None.$"),
        (b"bank", {}, "A query is a vector, .* not b'bank'.$"),
        ({"a": 1}, {}, "not a dict of 1.$"),
        (object(), {}, "not an object.$"),
        ([[1.0], [1.0, 2.0]], {}, "not a list of 2.$"),
        (np.ones(384), {"k": 0}, "k is how many to find, 1 or more; not 0"),
        (np.ones(384), {"k": 2.0}, "k is a whole number; not 2.0"),
        (np.ones(384), {"column": None}, "several columns of features; name one in column=: mean_6, cls_0"),
        (np.ones(384), {"column": "mean_5"}, "Unknown column of features 'mean_5'.*Did you mean 'mean_6'"),
        (np.ones(384), {"column": "text"}, "Unknown column of features 'text'"),
        (
            "a river",
            {},
            "'a river' needs the model that made these features, sentence-transformers/all-MiniLM",
        ),
    ],
)
def test_what_cannot_be_searched(banks, query, given, message):
    with pytest.raises(InputError, match=message):
        banks.search(query, **{"column": "mean_6", **given})


def test_texts_that_do_not_fit_the_column(model, banks):
    with pytest.raises(
        InputError, match="For words_6 a query is a vector, or .text, word., a word in its text"
    ):
        banks.search("a river", 1, "words_6", model)
    with pytest.raises(InputError, match="For mean_6 a query is a vector, or a text or a pair"):
        banks.search(("a", "b", "c"), 1, "mean_6", model)
    with pytest.raises(LayerscopeError, match="shore"):
        banks.search(("a river", "shore"), 1, "words_6", model)
    with pytest.raises(InputError, match="a vector already"):
        banks.search(np.ones(384), 1, "mean_6", model)
    for query in (["a", "b"], None, b"x"):
        with pytest.raises(InputError, match="A query is a vector, several of one width, a text, or"):
            banks.search(query, 1, "mean_6", model)
    with pytest.raises(InputError, match="model is a Model, as layerscope.load gives it; not 'foo'. Load it"):
        banks.search("a river", 1, "mean_6", "foo")


def test_another_model_is_refused(banks, tiny):
    with pytest.raises(
        InputError, match="is not the model of these features, sentence-transformers/.*: its num_layers"
    ):
        banks.search("a river", 1, "mean_6", tiny("bert"))
