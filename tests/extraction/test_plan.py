import pytest

import layerscope as ls
from layerscope import samples
from layerscope.errors import InputError


def test_everything_is_counted_in_a_small_corpus(model):
    texts = [*samples.texts(), None]
    made = ls.plan(model, texts, ["mean@all", "tokens@-1", "max@-2:/concat"], column_dtype="float16")
    tokens = sum(len(model.tokenize(text)) for text in samples.texts())
    assert (made.rows, made.tokens, made.is_sampled, made.errors) == (len(texts), tokens, False, 1)
    assert made.bytes_a_row["mean_3"] == 384 * 2
    assert made.bytes_a_row["max_5to6_concat"] == 2 * 384 * 2
    assert made.bytes_a_row["tokens_6"] == pytest.approx(384 * 2 * tokens / len(texts))
    assert made.rate > 0
    assert made.seconds == pytest.approx(tokens / made.rate)
    assert made.memory > sum(one.nbytes for one in model.hf.parameters())


def test_what_it_says_of_the_disk_is_what_lies_there(model, tmp_path):
    texts = samples.texts() * 5
    made = ls.plan(model, texts, ["mean@all"])
    extracted = ls.extract(model, texts, tmp_path / "out", ["mean@all"])
    written = sum(part.bytes for part in extracted.manifest.parts)
    assert made.to_dict()["bytes_in_all"] <= written <= 1.03 * made.to_dict()["bytes_in_all"]


def test_a_long_corpus_is_sampled_and_its_rows_are_counted(tiny):
    model = tiny("bert")
    texts = ("seeing " * (1 + number % 20) for number in range(40_000))
    made = ls.plan(model, texts, ["mean@-1"])
    whole = sum(len(model.tokenize("seeing " * (1 + number))) for number in range(20)) * 2000
    assert made.rows == 40_000
    assert made.is_sampled
    assert made.tokens == pytest.approx(whole, rel=0.02)


def test_machines_that_are_not_here(model):
    made = ls.plan(model, features=["cls@-1"], tokens=1e12, rows=10**9, rate=5e5, machines=64)
    assert made.seconds == 1e12 / 5e5 / 64
    assert made.table()["bytes"]["cls_6"] == 384 * 4 * 1e9
    assert ls.plan(model, tokens=1e12, rate=5e5).rows is None


def test_a_corpus_that_is_here_at_a_rate_that_is_not(model):
    made = ls.plan(model, samples.texts(), rate=1000)
    assert made.seconds == made.tokens / 1000


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "Give a corpus, or tokens= and rate="),
        ({"tokens": 5}, "Give a corpus, or tokens= and rate="),
        ({"source": []}, "The corpus has no rows"),
        ({"source": [None]}, "have no tokens"),
        ({"source": ["a"], "rate": 0}, "rate is a number above zero, not 0"),
        ({"source": ["a"], "machines": -1}, "machines is a number above zero, not -1"),
    ],
)
def test_what_cannot_be_planned(model, given, sentence):
    with pytest.raises(InputError, match=sentence):
        ls.plan(model, **given)
