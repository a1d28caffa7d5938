import itertools
import json
from collections import Counter

import pandas as pd
import pytest

import layerscope as ls
from layerscope.corpus.corpus import open_corpus

TABLE = pd.DataFrame({"nr": range(5000), "text": [f"text {number}" for number in range(5000)]})


def read(corpus, size=64, start=0):
    blocks = list(corpus.chunks(size, start))
    assert [block.start for block in blocks] == list(range(start, start + size * len(blocks), size))
    return [text for block in blocks for text in block.texts], [
        row for block in blocks for row in block.kept.to_pylist()
    ]


def test_the_first_rows():
    texts, kept = read(open_corpus(TABLE, text="text", keep=["nr"], limit=100))
    assert texts == [f"text {number}" for number in range(100)]
    assert [row["nr"] for row in kept] == list(range(100))
    assert open_corpus(TABLE, text="text", limit=100).count == 100
    assert open_corpus(["a", "b"], limit=100).count == 2
    assert read(open_corpus(TABLE, text="text", limit=100), start=64)[0] == [
        f"text {n}" for n in range(64, 100)
    ]


def test_no_more_is_read_than_has_to_be():
    endless = (f"text {number}" for number in itertools.count())
    assert len(read(open_corpus(endless, limit=70))[0]) == 70


@pytest.mark.parametrize("start", [0, 64])
def test_a_sample_is_in_order_and_the_same_for_a_seed(start):
    corpus = open_corpus(TABLE, text="text", keep=["nr"], sample=100, seed=3)
    texts, kept = read(corpus, start=start)
    numbers = [row["nr"] for row in kept]
    assert texts == [f"text {number}" for number in numbers]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 100 - start
    assert (texts, kept) == read(
        open_corpus(TABLE, text="text", keep=["nr"], sample=100, seed=3), start=start
    )
    assert texts != read(open_corpus(TABLE, text="text", sample=100, seed=4), start=start)[0]


def test_a_sample_does_not_depend_on_how_the_corpus_is_read(tmp_path):
    path = tmp_path / "table.csv"
    TABLE.to_csv(path, index=False)
    expected = read(open_corpus(TABLE, text="text", sample=10))[0]
    assert read(open_corpus(path, text="text", sample=10), size=7)[0] == expected
    assert read(open_corpus(iter(TABLE["text"]), sample=10))[0] == expected


def test_every_row_is_as_likely_as_any_other():
    counts = Counter(
        text for seed in range(1500) for text in read(open_corpus(list("abcdefgh"), sample=2, seed=seed))[0]
    )
    # 375 of each are expected; five standard deviations are 84.
    assert all(375 - 84 < count < 375 + 84 for count in counts.values())
    assert len(counts) == 8


def test_fewer_rows_than_the_sample_are_all():
    assert read(open_corpus(["a", "b"], sample=9))[0] == ["a", "b"]
    assert read(open_corpus([("a", "b"), ("c", "d")], sample=1))[0] in (["a"], ["c"])
    assert read(open_corpus([], sample=1))[0] == []


def test_a_sample_of_the_first_rows():
    texts, _ = read(open_corpus(TABLE, text="text", limit=10, sample=5))
    assert len(texts) == 5
    assert set(texts) <= {f"text {number}" for number in range(10)}


def test_an_opened_corpus_is_a_corpus(tiny, tmp_path):
    table = TABLE.assign(label=["a", "b"] * 2500)
    opened = open_corpus(table, text="text", id="nr", limit=20)
    again = open_corpus(opened, keep=["label"], sample=5)
    assert (again.text, again.schema.names, again.count) == ("text", ["nr", "label"], 5)
    assert again.asked["limit"] == 20
    assert open_corpus(opened, text="label").text == "label"
    found = ls.drift(tiny("bert"), open_corpus(table, text="text", limit=7), id="nr")
    assert found.names == tuple("0123456")
    assert len(ls.sweep(tiny("bert"), opened, "label", "mean@1", cv=2).results) == 1
    with pytest.raises(ls.InputError, match="is opened already, in lines"):
        open_corpus(opened, segment="paragraph")


def test_an_extraction_of_a_sample_is_gone_on_with_and_no_other(tiny, tmp_path):
    def extract(**rows):
        return ls.extract(
            tiny("bert"), open_corpus(TABLE, text="text", **rows), tmp_path / "out", part_rows=4
        )

    features = extract(sample=10, seed=1)
    assert len(features) == len(extract(sample=10, seed=1)) == 10
    settings = json.loads((tmp_path / "out" / "_manifest.json").read_text())["corpus"]
    assert (settings["sample"], settings["seed"], settings["limit"]) == (10, 1, None)
    with pytest.raises(ls.StorageError, match="corpus.seed is 2, and was 1"):
        extract(sample=10, seed=2)


@pytest.mark.parametrize("option", [{"limit": 0}, {"sample": -1}, {"limit": 2.5}, {"sample": "many"}])
def test_mistakes(option):
    with pytest.raises(ls.InputError, match=f"{next(iter(option))} is a whole number"):
        open_corpus(["a"], **option)
