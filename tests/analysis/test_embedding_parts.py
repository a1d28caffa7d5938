import copy

import numpy as np
import peft
import pytest
import torch
import transformers
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

import layerscope as ls
from layerscope.errors import InputError, ModelError
from tiny import build, quiet, tokenizer


def test_every_family_adds_up_to_its_own_layer_0(family, tiny):
    parts = ls.embedding_parts(tiny(family), "I am Mehdi, or not.", "b c")
    assert parts.difference <= 1e-6
    np.testing.assert_allclose(
        parts.output, tiny(family).run("I am Mehdi, or not.", "b c").hidden_states[0], atol=1e-6
    )
    assert "word" in parts.parts
    assert len(parts.table()) == len(parts.tokens)


def test_the_third_seed_word_position_segment_norm(model):
    parts, table = ls.embedding_parts(model, "I am Mehdi"), model.hf.embeddings
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
    with pytest.raises(ModelError, match="do not add up.*computes something that is not known"):
        ls.embedding_parts(model, "a b")


def test_what_cannot_be_shown(model, tiny):
    with pytest.raises(InputError, match="no token to embed"):
        ls.embedding_parts(tiny("gpt2"), "")
    with pytest.raises(InputError, match="at most 512"):
        ls.embedding_parts(model, "a " * 600)


def adapted(folder, config, auto=AutoModelForCausalLM):
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hf = peft.get_peft_model(auto.from_pretrained(folder).eval(), config).eval()
        return ls.wrap(hf, AutoTokenizer.from_pretrained(folder), "mine")


@pytest.mark.parametrize(
    ("family", "targets"), [("llama", ["embed_tokens"]), ("bert", ["word_embeddings", "position_embeddings"])]
)
def test_with_adapters_the_parts_are_what_comes_out_of_them(family, targets, tiny, tiny_folder):
    config = peft.LoraConfig(r=8, lora_alpha=64, init_lora_weights=False, target_modules=targets)
    model = adapted(tiny_folder(family), config, AutoModelForCausalLM if family == "llama" else AutoModel)
    parts, before = ls.embedding_parts(model, "a b c"), ls.embedding_parts(tiny(family), "a b c")
    assert parts.difference < 1e-5
    assert set(parts.parts) == set(before.parts)
    assert np.abs(parts.parts["word"] - before.parts["word"]).max() > 0.1


def test_vectors_before_the_text_are_said(tiny_folder):
    """Of the tables of a prompt's and a prefix's own vectors none is a part of the text's embedding."""
    prompt = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    model = adapted(tiny_folder("llama"), prompt)
    said = r"hidden_states has the shape .* for texts of \d+ tokens, which is not \[text, token, hidden\]"
    with pytest.raises(ModelError, match=said):
        ls.embedding_parts(model, "I am Mehdi")
    prefix = peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    assert list(ls.embedding_parts(adapted(tiny_folder("llama"), prefix), "I am Mehdi").parts) == ["word"]


def test_a_table_that_is_looked_up_twice(tiny):
    """GPT-2 looks its token types up in the table of its words."""
    hf, words = tiny("gpt2").hf, tiny("gpt2").tokenizer
    with_types = copy.deepcopy(words)
    with_types.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    parts = ls.embedding_parts(ls.wrap(hf, with_types), "a b c")
    assert set(parts.parts) == {"word", "word 2", "position"}
    assert parts.difference < 1e-6


def test_parts_that_are_no_sum_are_said(tmp_path):
    model = ls.load(build("opt", tmp_path, word_embed_proj_dim=16), device="cpu")
    with pytest.raises(ModelError, match=r"of different widths \(word 16, position 32\): they are no sum\.$"):
        ls.embedding_parts(model, "a b")
    with quiet():
        hf = transformers.MambaModel(
            transformers.MambaConfig(hidden_size=32, num_hidden_layers=2, vocab_size=600)
        )
    with pytest.raises(ModelError, match="its x_proj does not take their sum"):
        ls.embedding_parts(ls.wrap(hf.eval(), tokenizer("qwen"), "mine"), "a b")
