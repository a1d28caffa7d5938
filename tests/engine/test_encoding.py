import numpy as np
import pytest
import torch

import layerscope as ls
from layerscope import samples

FEATURES = ["mean@-1", "cls@all", "max@0", "mean@-4:/concat", "weighted_mean@1:4/mean", "pooler"]


@pytest.fixture(scope="module")
def alone(model):
    """What one text gives by itself."""
    return lambda text, feature: model.run(text).feature(feature)


@pytest.mark.parametrize("feature", FEATURES)
def test_many_texts_are_those_of_each_alone(model, alone, feature):
    texts = [*samples.texts()[:9], "a " * 700, "银行"]
    if feature in ("cls@all", "pooler"):  # of a text in windows there is none
        texts[9] = "a"
    found = model.encode(texts, feature)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.stack([alone(text, feature) for text in texts]), atol=1e-5)


def test_several_features_come_from_one_pass(model, alone):
    passes = []
    handle = model.hf.register_forward_pre_hook(lambda *_: passes.append(1))
    try:
        found = model.encode(["Seeing is believing."], FEATURES)
    finally:
        handle.remove()
    assert list(found) == FEATURES
    assert len(passes) <= 1
    for feature, vectors in found.items():
        np.testing.assert_allclose(vectors[0], alone("Seeing is believing.", feature), atol=1e-5)


def test_pairs_tokens_and_iterators(model, alone):
    pair, tokens = ("a river", "a bank"), model.tokenize("a bank")
    found = model.encode(one for one in (pair, tokens, "a bank"))
    np.testing.assert_allclose(found[0], model.run(*pair).pool(), atol=1e-5)
    np.testing.assert_allclose(found[1], found[2], atol=1e-6)
    assert model.encode(np.array(["a", "b"])).shape == (2, 384)


def test_more_texts_than_are_read_together(model, monkeypatch):
    texts = samples.texts()[:20]
    expected = model.encode(texts, "mean@2")
    monkeypatch.setattr("layerscope.engine.encoding._ROWS", 3)
    np.testing.assert_allclose(model.encode(texts, "mean@2"), expected, atol=1e-5)
    with pytest.raises(ls.InputError, match="^Row 7 of the corpus: The text is int"):
        model.encode([*texts[:7], 5])


def test_no_texts_are_no_rows(model):
    assert model.encode([], "mean@-4:/concat").shape == (0, 1536)
    assert model.encode([], "cls@all").shape == (0, 7, 384)


def test_a_precision(model):
    texts = samples.texts()[:4]
    half = model.encode(texts, dtype="bfloat16")
    exact = model.encode(texts)
    assert half.dtype == np.float32
    assert 1e-5 < np.abs(half - exact).max() < 0.1
    assert model.hf.dtype == torch.float32
    checked = model.encode(texts, dtype="auto")
    assert min(np.abs(checked - exact).max(), np.abs(checked - half).max()) < 1e-3
    with pytest.raises(ls.InputError, match="Unknown dtype 'int4'"):
        model.encode(texts, dtype="int4")


@pytest.mark.parametrize(
    ("texts", "feature", "message"),
    [
        ("a text", "mean@-1", "encode takes a list of texts; for one text give a list of it"),
        (["a"], "words@-1", "words@-1 gives no one vector a text"),
        (["a"], [], "Name at least one feature"),
        (["a"], ["mean@1", "mean@1"], "The features give the column mean_1 twice"),
        (["a"], "mean@9", "Layer 9 does not exist"),
        (["a", None], "mean@1", "Row 1 of the corpus: The text is NoneType None"),
        (["a"], 5, "feature is text or a Feature or a list; not 5"),
        (["bank " * 700], "cls", "Row 0 of the texts: cls_6: The text passed in"),
    ],
)
def test_mistakes(model, texts, feature, message):
    with pytest.raises(ls.InputError, match=message):
        model.encode(texts, feature)


def test_a_decoder_and_an_encoder_decoder(tiny):
    for family in ("gpt2", "t5"):
        model = tiny(family)
        found = model.encode(["a bank", "the bank of a river"], "last@all")
        np.testing.assert_allclose(found[1], model.run("the bank of a river").feature("last@all"), atol=1e-5)


def test_what_is_not_finite_is_refused(tiny):
    model = tiny("bert")
    broken = ls.wrap(model.hf, model.tokenizer)
    weight = broken.hf.get_input_embeddings().weight
    before = weight.detach().clone()
    with torch.no_grad():
        weight[int(model.tokenize("bank").ids[1])] = torch.nan
    try:
        with pytest.raises(ls.ModelError, match="Row 1 of the texts: mean_1: holds NaN or infinity"):
            broken.encode(["a", "bank"], "mean@1")
    finally:
        with torch.no_grad():
            weight.copy_(before)
