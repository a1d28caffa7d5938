import numpy as np
import pytest
import transformers

import layerscope as ls
from layerscope.analysis.look import look, top_tokens
from layerscope.errors import InputError, ModelError
from tiny import quiet, tokenizer

TEXT = "Then I tried to find some way of embracing my mother's ghost."


def test_what_there_is_to_see(model):
    seen = look(model, TEXT)
    trace = model.run(TEXT, attention=True)
    assert sorted(seen.attention) == [1, 3, 6]
    np.testing.assert_allclose(seen.lengths, np.linalg.norm(trace.hidden_states, axis=2), atol=1e-4)
    table = seen.attention[6].set_index("from")
    assert table.loc["ghost", "weight"] == pytest.approx(
        trace.attention(6, "max", unit="word").loc["ghost", list(table.index)].max(), abs=1e-5
    )
    assert seen.predictions == ()
    assert seen.to_dict()["tokens"][1]["string"] == "then"


def test_a_decoder_predicts_what_follows(decoder):
    (prediction,) = look(decoder, "The capital of France is", k=3).predictions
    assert (prediction.position, prediction.token) == (4, " is")
    assert prediction.candidates[0][0] == " Paris"
    assert len(prediction.candidates) == 3


def test_an_encoder_with_a_head_predicts_its_masks(tiny):
    model = tiny("bert")
    seen = look(model, "The [MASK] sat on the [MASK].")
    assert [one.token for one in seen.predictions] == ["[MASK]", "[MASK]"]
    with_mask = model.run("The [MASK] sat on the [MASK].", logits=True).logits
    probabilities = np.exp(with_mask[2] - with_mask[2].max())
    assert seen.predictions[0].candidates[0][1] == pytest.approx(
        probabilities.max() / probabilities.sum(), abs=1e-5
    )
    assert "Put [MASK] in the text" in look(model, "No mask.").note


def test_probabilities(model):
    logits = np.zeros(30522, dtype=np.float32)
    logits[5745] = np.log(30521)
    assert top_tokens(model, logits, 1) == (("ghost", pytest.approx(0.5, abs=1e-4)),)


@pytest.mark.parametrize("family", ["gpt2", "t5", "bart", "gemma3", "bert"])
@pytest.mark.parametrize("text", ["", " \n", "word", "我去银行 🙂"])
def test_any_text_can_be_looked_at(tiny, family, text):
    seen = look(tiny(family), text)
    assert seen.lengths.shape == (4, len(seen.tokens))
    seen.to_dict()


def test_layers_and_errors(model):
    assert sorted(look(model, TEXT, layers="all").attention) == [1, 2, 3, 4, 5, 6]
    with pytest.raises(InputError, match="Layer 0 is the embedding output"):
        look(model, TEXT, layers=0)
    with pytest.raises(InputError, match="must fit"):
        look(model, "a " * 600)
    with pytest.raises(InputError, match="at least 1"):
        look(model, TEXT, k=0)


def test_a_model_without_attention_is_looked_at_without_it():
    words = tokenizer("qwen")
    config = transformers.MambaConfig(
        hidden_size=32, num_hidden_layers=2, state_size=8, vocab_size=len(words)
    )
    with quiet():
        hf = transformers.MambaForCausalLM(config).eval()
    model = ls.wrap(hf, words, "mine")
    seen = look(model, "A man.", k=2)
    assert seen.attention == {}
    assert seen.lengths.shape == (3, len(seen.tokens))
    assert len(seen.predictions[0].candidates) == 2
    assert "attention" in seen.note
    assert seen.to_dict()["attention"] == {}
    with pytest.raises(ModelError, match="attention"):
        look(model, "A man.", layers=1)
