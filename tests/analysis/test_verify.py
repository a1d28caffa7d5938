import numpy as np
import pytest
from transformers import BertForSequenceClassification

import layerscope as ls
from layerscope.errors import InputError
from tiny import build

TEXTS = ["Then I tried to find some way.", "a b", "我去银行 🙂"]


def test_every_family_passes(family, tiny):
    verification = ls.verify(tiny(family), TEXTS)
    assert verification.passed, verification.table()
    expected = {"hidden_states", "attentions", "logits", "mean@all of a corpus"}
    if tiny(family).context_window is not None:
        expected.add("hidden_states in windows")
    if tiny(family).kind == "encoder-decoder":
        expected |= {"decoder_hidden_states", "decoder_attentions", "cross_attentions"}
    if family in ("bert", "albert"):
        expected |= {"pooler_output", "next_sentence_logits"}
    assert {one.output for one in verification.differences} == expected
    assert all(one.texts == 3 for one in verification.differences if "windows" not in one.output)
    assert not verification.left_out


def test_the_real_decoder_passes(decoder):
    verification = ls.verify(decoder, [*TEXTS, "The capital of France is Paris, and that of Peru is Lima."])
    assert verification.passed, verification.table()


def test_a_model_that_computes_something_else_in_our_hands_does_not_pass(tiny_folder):
    """The check can fail: here a batch of several texts is given other numbers than a text alone."""
    model = ls.load(tiny_folder("bert"), device="cpu")

    def spoil(_module, _args, output):
        return output + 1e-3 if len(output) > 1 else output

    model.sites()
    assert model.traits.company is None
    model.hf.bert.encoder.layer[1].output.LayerNorm.register_forward_hook(spoil)
    verification = ls.verify(model, ["a b", "c d"])
    assert not verification.passed
    assert not verification.table().loc["hidden_states", "within"]


def test_nan_does_not_pass(tiny_folder):
    model = ls.load(tiny_folder("gpt2"), device="cpu")
    model.sites()
    model.hf.transformer.ln_f.weight.data.fill_(np.nan)
    assert not ls.verify(model, ["a b"]).passed


def test_nan_in_a_later_text_does_not_pass(tiny_folder):
    model = ls.load(tiny_folder("bert"), device="cpu")
    spoilt = int(model.tokenize("a").ids[1])
    model.hf.bert.embeddings.word_embeddings.weight.data[spoilt] = np.nan
    verification = ls.verify(model, ["the", "a"])
    assert not verification.passed
    assert np.isnan(verification.table().loc["hidden_states", "largest difference"])


def test_a_text_that_plain_transformers_cannot_read_at_once_is_compared_window_by_window(model):
    verification = ls.verify(model, ["a b", "a " * 600])
    assert verification.table().loc["hidden_states in windows", "texts"] == 1
    assert verification.passed
    assert verification.left_out == ()


def test_what_is_not_compared_is_said(tmp_path):
    model = ls.load(build("gpt2", tmp_path / "gpt2"), device="cpu")
    assert ls.verify(model, ["a b", ""]).left_out == ("1 text without tokens",)
    bare = ls.load(build("bert", tmp_path / "bert", head=False), device="cpu")
    model = ls.wrap(BertForSequenceClassification(bare.config).eval(), bare.tokenizer)
    found = ls.verify(model, ["a b"])
    assert found.left_out == ()
    assert "logits" in {one.output for one in found.differences}
    with pytest.raises(InputError, match="nothing to compare"):
        ls.verify(model, ["a " * 600])


def test_the_samples_by_default(model):
    verification = ls.verify(model)
    assert verification.passed
    assert verification.to_dict()["passed"] is True
    assert verification.differences[0].texts == len(ls.samples.texts())
