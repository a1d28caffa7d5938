"""Features as they are read: equal to the trace's, in every container, and clear where they cannot be."""

import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import datasets
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import layerscope as ls
from layerscope.errors import InputError, MissingExtraError, StorageError
from layerscope.store.folder import Folder
from manifests import parts_of, read_manifest, write_manifest

TEXTS = [
    "He sat on the bank of the river.",
    "She asked the bank for a loan.",
    None,
    "a \ufffd b",
    "",
    "Then I tried to find some way of embracing my mother's ghost.",
    "word " * 520,
    "Seeing is believing.",
]
FEATURES = ["mean@-1", "cls@0:2", "mean@-2:/concat", "words@-1", "tokens@-1"]
POOLED = ["mean_6", "cls_0", "cls_1", "mean_5to6_concat"]
FAILED = 2
SEVERAL_WINDOWS = 6


@pytest.fixture(scope="module")
def out(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "features"
    rows = [{"key": f"k{number}", "text": text} for number, text in enumerate(TEXTS)]
    ls.extract(model, rows, folder, FEATURES, id="key", text="text", part_rows=3, progress=False)
    return folder


@pytest.fixture(scope="module")
def features(out):
    return ls.open_features(out)


@pytest.fixture
def copied(out, tmp_path):
    """A copy that may be damaged."""
    return shutil.copytree(out, tmp_path, dirs_exist_ok=True)


def edited(folder, **changes):
    """Change the manifest of a folder."""
    values = {**read_manifest(folder), **changes}
    sums = {
        name: sum(part[name] for part in values["parts"]) for name in ("rows", "errors", "tokens", "bytes")
    }
    write_manifest(folder, values | {"totals": {"parts": len(values["parts"]), **sums}})
    return folder


def without_part(folder, number):
    parts = [part for part in parts_of(folder) if not part["file"].endswith(f"{number}.parquet")]
    (folder / f"part-{number:06d}.parquet").unlink()
    return edited(folder, complete=False, parts=parts)


def test_the_numbers_are_those_of_the_trace(model, features):
    for column, feature in (
        ("mean_6", "mean@-1"),
        ("cls_1", "cls@1"),
        ("mean_5to6_concat", "mean@-2:/concat"),
    ):
        array = features.to_numpy(column)
        assert array.dtype == np.float32
        assert array.shape == (len(TEXTS), features.columns[column].width)
        for number, text in enumerate(TEXTS):
            if text is None or (number == SEVERAL_WINDOWS and column == "cls_1"):
                assert np.isnan(array[number]).all()
            else:
                np.testing.assert_allclose(array[number], model.run(text).feature(feature), atol=1e-5)


def test_words_and_tokens_are_those_of_the_trace(model, features):
    frame = features.to_pandas(["words", "words_6", "tokens_6", "token_ids"])
    trace = model.run(TEXTS[0])
    assert list(frame.words[0]) == [word.text for word in trace.tokens.words]
    np.testing.assert_allclose(np.stack(frame.words_6[0]), trace.word_vectors(), atol=1e-5)
    np.testing.assert_allclose(np.stack(frame.tokens_6[0]), trace.hidden_state(), atol=1e-5)
    assert frame.words_6[FAILED] is None
    assert [vector is None for vector in frame.words_6[3]] == [False, True, False]  # U+FFFD has no tokens
    assert len(frame.words_6[4]) == 0


def test_what_it_is(features, out):
    assert len(features) == len(TEXTS)
    assert list(features.columns) == [*POOLED, "words_6", "tokens_6"]
    assert [one.kind for one in features.columns.values()] == ["text"] * 4 + ["words", "tokens"]
    assert features.columns["mean_5to6_concat"].width == 768
    assert features.columns["cls_1"].feature == "cls@0:2"
    assert features.num_errors == 2
    assert features.schema.names[:3] == ["key", "text", "num_tokens"]
    assert features.schema.field("mean_6").type == pa.list_(pa.float32(), 384)
    assert repr(features) == (
        f"Features({str(out)!r}: sentence-transformers/all-MiniLM-L6-v2, mean_6 [384], cls_0 [384], cls_1 [384], "
        "mean_5to6_concat [768] and 2 more, 8 rows (2 with an error), complete)"
    )


def test_plain_columns_as_arrays(features):
    assert list(features.to_numpy("key")) == [f"k{number}" for number in range(len(TEXTS))]
    lengths = features.to_numpy("num_tokens")
    assert np.isnan(lengths[FAILED])
    assert lengths[4] == 2
    assert list(features.to_numpy("text")) == TEXTS
    assert [why is not None for why in features.to_numpy("error")] == [
        number in (FAILED, SEVERAL_WINDOWS) for number in range(len(TEXTS))
    ]


@pytest.mark.parametrize("column", ["words_6", "words", "token_ids"])
def test_lists_are_no_array(features, column):
    with pytest.raises(InputError, match="holds a list for each row.*batches.*to_pandas"):
        features.to_numpy(column)


def test_unknown_columns(features):
    for ask in (
        lambda: features.to_numpy("mean_5"),
        lambda: features.to_pandas(["mean_5"]),
        lambda: features.batches(columns=["mean_5"]),
    ):
        with pytest.raises(
            InputError, match="Unknown column 'mean_5'; known: key, text.*Did you mean 'mean_6'"
        ):
            ask()


def test_batches_are_the_rows_in_order(features):
    for size in (1, 2, 1024):
        batches = list(features.batches(size, ["num_tokens", "key"]))
        assert max(len(batch) for batch in batches) <= size
        assert all(batch.schema.names == ["num_tokens", "key"] for batch in batches)
        assert [key for batch in batches for key in batch.column("key").to_pylist()] == list(
            features.to_numpy("key")
        )
    with pytest.raises(InputError, match="1 or more; not 0"):
        features.batches(0)


def test_arrow_reads_lazily(features):
    dataset = features.to_arrow()
    assert dataset.schema == features.schema
    few = dataset.to_table(columns=["key"], filter=ds.field("num_tokens") > 15)
    assert few.column("key").to_pylist() == ["k5", "k6"]
    assert dataset.count_rows() == len(features)


def test_datasets(features, out, tmp_path):
    made = features.to_dataset(cache_dir=tmp_path)
    assert made["key"][:] == list(features.to_numpy("key"))
    assert made.cache_files
    np.testing.assert_array_equal(made[0]["mean_6"], features.to_numpy("mean_6")[0])
    assert made[FAILED]["mean_6"] is None
    assert made[3]["words_6"][1] is None
    with pytest.raises(InputError, match="is in the folder of features"):
        features.to_dataset(cache_dir=out / "cache")
    assert sorted(file.name for file in out.iterdir() if not file.name.startswith(".")) == [
        "_manifest.json",
        "_parts",
        *(f"part-{number:06d}.parquet" for number in range(3)),
    ]


def test_the_page_about_storage_names_every_field_and_column(out, features):
    page = (Path(__file__).parents[2] / "docs" / "storage.md").read_text(encoding="utf-8")
    manifest = read_manifest(out)
    fields = [
        *manifest,
        *manifest["totals"],
        *manifest["parts"][0],
        *manifest["long_texts"],
        *manifest["corpus"],
        *manifest["about"],
    ]
    columns = [name for name in features.schema.names if name not in features.columns and name != "key"]
    assert [name for name in [*fields, *columns] if f"`{name}`" not in page] == []


def test_without_datasets(features, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match="pip install datasets$"):
        features.to_dataset()


def test_others_read_the_folder_as_it_is(features, out, tmp_path):
    assert pd.read_parquet(out).equals(pd.read_parquet(sorted(out.glob("part-*.parquet"))))
    assert ds.dataset(out).count_rows() == len(TEXTS)
    files = f"{out}/*.parquet"
    mean = features.to_numpy("mean_6")
    keys = list(features.to_numpy("key"))

    read = pl.read_parquet(files)
    assert read["key"].to_list() == keys
    assert read["mean_6"].dtype == pl.Array(pl.Float32, 384)
    np.testing.assert_array_equal(read["mean_6"][0].to_numpy(), mean[0])
    assert read["mean_6"][FAILED] is None
    assert read["words_6"][3][1] is None

    rows = duckdb.sql(f"select key, mean_6, len(words_6) from '{files}'").fetchall()
    assert [row[0] for row in rows] == keys
    np.testing.assert_array_equal(np.float32(rows[0][1]), mean[0])
    assert rows[FAILED][1:] == (None, None)
    assert rows[3][2] == 3

    parts = sorted(out.glob("part-*.parquet"))
    table = pa.concat_tables([pq.read_table(part) for part in parts])
    assert table.schema == features.schema
    assert table.column("key").to_pylist() == keys
    assert ds.dataset(parts).to_table(columns=["key"]).column("key").to_pylist() == keys

    frame = features.to_pandas()
    assert list(frame.columns) == table.column_names
    assert list(frame.key) == keys
    np.testing.assert_array_equal(frame.mean_6[7], mean[7])

    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    assert loaded["key"][:] == keys


def test_float16(model, tmp_path):
    texts = [TEXTS[0], None, TEXTS[3]]
    features = ls.extract(
        model, texts, tmp_path, ["mean@-1", "words@-1"], column_dtype="float16", part_rows=2, progress=False
    )
    mean = features.to_numpy("mean_6")
    assert mean.dtype == np.float16
    assert np.isnan(mean[1]).all()
    np.testing.assert_allclose(mean[2], model.run(TEXTS[3]).pool(), atol=2e-3)
    assert features.to_pandas(["mean_6"]).mean_6[0].dtype == np.float16
    assert pl.read_parquet(f"{tmp_path}/part-*.parquet").height == 3


def test_a_folder_in_memory(model):
    place = f"memory://{uuid.uuid4().hex}/features"
    ls.extract(model, TEXTS[:5], place, ["mean@-1"], part_rows=2, progress=False)
    features = ls.open_features(place)
    np.testing.assert_allclose(features.to_numpy("mean_6")[0], model.run(TEXTS[0]).pool(), atol=1e-5)
    assert features.to_arrow().count_rows() == len(features.to_pandas()) == 5
    assert features.search(features.to_numpy("mean_6")[1], 1).hits[0]["row"] == 1
    Folder.at(place).remove(["part-000001.parquet"])
    with pytest.raises(StorageError, match="features/part-000001.parquet is gone"):
        features.to_numpy("mean_6")


def test_a_folder_that_is_not_finished(copied, features):
    edited(copied, complete=False)
    assert repr(ls.open_features(copied)).endswith("8 rows (2 with an error) so far)")
    unfinished = ls.open_features(without_part(copied, 1))
    assert len(unfinished) == 5
    assert repr(unfinished).endswith("5 rows (2 with an error) so far, without rows 3 to 5)")
    assert list(unfinished.to_numpy("key")) == ["k0", "k1", "k2", "k6", "k7"]
    np.testing.assert_array_equal(unfinished.to_numpy("mean_6")[-1], features.to_numpy("mean_6")[-1])
    assert unfinished.search(features.to_numpy("mean_6")[-1], 1, "mean_6").hits[0]["row"] == 4


def test_a_folder_without_a_part_yet(copied, features, tmp_path_factory):
    empty = ls.open_features(edited(copied, complete=False, parts=[]))
    assert len(empty) == 0
    assert empty.schema == features.schema
    assert empty.to_numpy("mean_6").shape == (0, 384)
    assert list(empty.to_numpy("num_tokens")) == []
    assert list(empty.to_pandas().columns) == features.schema.names
    assert empty.to_arrow().count_rows() == 0
    assert len(empty.to_dataset(cache_dir=tmp_path_factory.mktemp("cache"))) == 0
    found = empty.search(np.ones(384), column="mean_6")
    assert list(found.table().columns) == ["row", "score", "id", "text"]
    kept = {**features.manifest.settings["schema"], "key": "struct<a: int64>"}
    with pytest.raises(StorageError, match="No part is there yet, so the type struct<a: int64>"):
        ls.open_features(edited(copied, schema=kept)).to_pandas()


def test_nothing_is_written_or_locked(copied):
    def state():
        return {path.name: path.stat().st_mtime_ns for path in [copied, *copied.iterdir()]}

    with Folder.at(copied).locked():  # as another process that extracts
        ls.open_features(copied).to_numpy("mean_6")
    (copied / ".lock").unlink()
    before = state()
    features = ls.open_features(copied)
    features.search(features.to_numpy("mean_6")[0], column="mean_6")
    features.to_pandas()
    assert state() == before


def test_it_is_read_without_a_network_library(out):
    code = (
        f"import sys, layerscope as ls; f = ls.open_features({str(out)!r}); f.search(f.to_numpy('mean_6')[0], "
        "1, 'mean_6'); print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.split() == ["False", "False"]


def test_folders_that_hold_no_features(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere", str(tmp_path / "nowhere")):
        with pytest.raises(
            StorageError, match="There are no features in .*Give the folder that extract wrote to"
        ):
            ls.open_features(place)
    (tmp_path / "letter.txt").write_text("Dear")
    with pytest.raises(StorageError, match="There are no features in"):
        ls.open_features(tmp_path)
    (tmp_path / "_manifest.json").write_text("{}")
    with pytest.raises(StorageError, match="is no manifest of features"):
        ls.open_features(tmp_path)
    with pytest.raises(InputError, match="a path or an address"):
        ls.open_features(None)


def test_a_manifest_of_a_later_version(copied):
    with pytest.raises(StorageError, match="schema version 3, and this Layerscope reads 2"):
        ls.open_features(edited(copied, schema_version=3))


def test_parts_that_are_gone_or_damaged(copied):
    part = copied / "part-000001.parquet"
    whole = part.read_bytes()
    features = ls.open_features(copied)

    part.write_bytes(whole[:-100])
    with pytest.raises(StorageError, match="part-000001.parquet is not as long as it was written.*run again"):
        features.to_numpy("mean_6")
    part.write_bytes(b"x" * len(whole))
    with pytest.raises(StorageError, match="part-000001.parquet cannot be read: .*remove it and run"):
        features.to_numpy("mean_6")
    part.unlink()
    for ask in (features.to_pandas, features.to_arrow, features.to_dataset, lambda: list(features.batches())):
        with pytest.raises(StorageError, match="part-000001.parquet is gone"):
            ask()
    first = next(features.batches(1, ["key"]))  # the parts before it are read
    assert first.column(0).to_pylist() == ["k0"]


def test_an_address_of_an_unknown_kind():
    with pytest.raises(InputError, match="cannot be reached"):
        ls.open_features("nosuch://bucket/features")


def test_kept_columns_of_any_name(model, tmp_path):
    rows = [{"t": "a", "x.y": 1, "x": None}, {"t": "b", "x.y": None, "x": "é"}]
    features = ls.extract(model, rows, tmp_path, text="t", keep=["x.y", "x"], progress=False)
    assert features.to_pandas(["x", "x.y"]).columns.tolist() == ["x", "x.y"]
    assert next(features.batches(columns=["x"])).schema.names == ["x"]
    assert list(features.to_numpy("x")) == [None, "é"]
    np.testing.assert_array_equal(features.to_numpy("x.y"), [1, np.nan])


def test_checked_as_a_whole(features, copied):
    assert features.check().passed
    part = copied / "part-000001.parquet"
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    found = ls.open_features(copied).check()
    assert not found.passed
    assert list(found.damaged) == [part.name]
