import numpy as np
import pytest
import torch

import layerscope as ls
from layerscope.errors import InputError, ModelError


def test_every_family_adds_up_to_its_own_layer_0(family, tiny):
    parts = ls.embeddings(tiny(family), "I am Mehdi, or not.", "b c")
    assert parts.difference <= 1e-6
    np.testing.assert_allclose(
        parts.output, tiny(family).run("I am Mehdi, or not.", "b c").hidden_states[0], atol=1e-6
    )
    assert "word" in parts.parts
    assert len(parts.table()) == len(parts.tokens)


def test_the_third_seed_word_position_segment_norm(model):
    parts, table = ls.embeddings(model, "I am Mehdi"), model.hf.embeddings
    assert parts.tokens.ids.tolist() == [101, 1045, 2572, 2033, 22960, 102]
    ids = torch.from_numpy(parts.tokens.ids)
    with torch.no_grad():
        word, position = table.word_embeddings(ids), table.position_embeddings(torch.arange(6))
        segment = table.token_type_embeddings(torch.zeros(6, dtype=torch.long))
        normed = table.LayerNorm(word + position + segment)
    np.testing.assert_array_equal(parts.parts["word"], word.numpy())
    np.testing.assert_array_equal(parts.parts["position"], position.numpy())
    np.testing.assert_array_equal(parts.parts["segment"], segment.numpy())
    np.testing.assert_allclose(parts.output, normed.numpy(), atol=1e-6)
    # Layer 0 is not the word embeddings: it is their sum with the others, after the norm.
    assert np.abs(parts.output - word.numpy()).max() > 0.1
    assert (table.word_embeddings.weight.shape, table.position_embeddings.weight.shape) == (
        (30522, 384),
        (512, 384),
    )


def test_an_embedding_that_does_not_add_up_is_not_shown(tiny_folder):
    model = ls.load(tiny_folder("gpt2"), device="cpu")
    inner = model.hf.transformer.wpe.forward
    model.hf.transformer.drop.register_forward_pre_hook(lambda _, args: (args[0] * 2,))
    assert inner is not None
    with pytest.raises(ModelError, match="do not add up.*not drawn yet"):
        ls.embeddings(model, "a b")


def test_what_cannot_be_shown(model, tiny):
    with pytest.raises(InputError, match="no token to embed"):
        ls.embeddings(tiny("gpt2"), "")
    with pytest.raises(InputError, match="at most 512"):
        ls.embeddings(model, "a " * 600)
