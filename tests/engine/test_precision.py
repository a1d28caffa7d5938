import copy

import numpy as np
import pytest
import torch

from layerscope import samples
from layerscope.engine.column_values import column_values
from layerscope.engine.precision import LEAST_COSINE, cast, choose, multiplies_bfloat16, spread
from layerscope.engine.replicas import Replicas
from layerscope.errors import InputError
from layerscope.extraction.extract import extract
from layerscope.network.memory import Budget
from layerscope.reduce.feature import Feature
from layerscope.text.encode import encode

FEATURES = [Feature.parse("mean@all"), Feature.parse("words@-1")]


@pytest.fixture
def hardware(monkeypatch):
    """A processor that multiplies bfloat16, whatever this one is: only the question is answered for it."""
    monkeypatch.setattr("layerscope.engine.precision.multiplies_bfloat16", lambda device: True)


def sample(model, count=12):
    return encode(model.vocabulary, samples.texts()[:count])


def test_bfloat16_is_taken_where_every_vector_stays_close(model, hardware):
    chosen, record = choose(model, "auto", sample(model), FEATURES, Budget(512))
    assert chosen.hf.dtype == torch.bfloat16
    assert record["chosen"] == "bfloat16"
    assert record["texts"] == 12
    exact, rounded = (
        column_values(Replicas(one), sample(model), FEATURES, Budget(512)) for one in (model, chosen)
    )
    for name, least in record["least_cosine"].items():
        pairs = zip(exact[name].values, rounded[name].values, strict=True)
        cosines = [
            float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))
            for x, y in pairs
            for a, b in zip(np.atleast_2d(x), np.atleast_2d(y), strict=True)
        ]
        assert least == pytest.approx(min(cosines), abs=2e-5)
        assert LEAST_COSINE <= least < 1


def test_bfloat16_is_not_taken_where_one_vector_goes_astray(model, hardware):
    harmed = copy.deepcopy(model)
    # What all dimensions have in common, the norm takes out; so much of it that rounding takes the rest.
    harmed.hf.embeddings.word_embeddings.weight.data += 300
    chosen, record = choose(harmed, "auto", sample(harmed), [Feature.parse("mean@1")], Budget(512))
    assert record["least_cosine"]["mean_1"] < LEAST_COSINE
    assert record["chosen"] == "float32"
    assert chosen is harmed


def test_without_hardware_or_texts_it_stays_float32(model, monkeypatch):
    monkeypatch.setattr("layerscope.engine.precision.multiplies_bfloat16", lambda device: False)
    chosen, record = choose(model, "auto", sample(model), FEATURES, Budget(512))
    assert chosen is model
    assert record["why"] == "cpu has no bfloat16 hardware"
    monkeypatch.setattr("layerscope.engine.precision.multiplies_bfloat16", lambda device: True)
    assert choose(model, "auto", [], FEATURES, Budget(512))[1]["why"].startswith("there was no text")


def test_a_model_loaded_in_half_precision_runs_as_it_is(model):
    half = cast(model, "bfloat16")
    chosen, record = choose(half, "auto", sample(model), FEATURES, Budget(512))
    assert chosen is half
    assert record["chosen"] == "bfloat16"


def test_the_hardware_is_asked_not_guessed():
    able = torch.cpu.get_capabilities()
    assert multiplies_bfloat16(torch.device("cpu")) == bool(able.get("amx_bf16") or able.get("avx512_bf16"))
    assert not multiplies_bfloat16(torch.device("meta"))


def test_a_cast_model_is_a_copy_and_its_own_precision_no_copy(model):
    half = cast(model, "bfloat16")
    assert half.hf is not model.hf
    assert model.hf.dtype == torch.float32
    assert cast(model, "float32") is model
    with pytest.raises(InputError, match="Unknown dtype 'int4'"):
        cast(model, "int4")


def test_the_sample_goes_from_the_shortest_to_the_longest(model):
    texts = encode(model.vocabulary, ["a " * number for number in range(1, 101)])
    chosen = [len(one) for one in spread(texts[::-1], 5)]
    assert chosen == sorted(chosen)
    assert (chosen[0], chosen[-1], len(chosen)) == (3, 102, 5)


def test_the_check_is_in_the_manifest(model, tmp_path, hardware):
    made = extract(model, samples.texts(), tmp_path / "out", ["mean@all"], dtype="auto")
    check = made.manifest.about["precision_check"]
    assert set(check["least_cosine"]) == {f"mean_{layer}" for layer in range(7)}
    assert made.manifest.settings["dtype"] == check["chosen"] == "bfloat16"
    exact = extract(model, samples.texts(), tmp_path / "exact", ["mean@all"]).to_numpy("mean_6")
    ours = made.to_numpy("mean_6")
    cosines = (exact * ours).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(ours, axis=1)
    assert cosines.min() > LEAST_COSINE


def test_a_corpus_of_long_texts_is_checked_on_their_beginnings(tiny, tmp_path, hardware):
    made = extract(tiny("bert"), ["seeing is believing " * 60] * 3, tmp_path / "out", dtype="auto")
    assert made.manifest.about["precision_check"]["texts"] == 3
