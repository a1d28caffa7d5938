"""The tiny checkpoints are what they claim: loadable, complete, and worth looking at."""

import json

import pytest
import torch
import transformers
from transformers import AutoModel, AutoTokenizer

import tiny
from tiny_tokenizers import KINDS

SENTENCE = "Then I tried to find some way of embracing my mother's ghost."
families = pytest.mark.parametrize("family", tiny.FAMILIES)
kinds = pytest.mark.parametrize("kind", KINDS)
slow = pytest.mark.parametrize("name", tiny.SLOW_TOKENIZERS)


def load(auto, folder):
    """The model with eager attention, in evaluation mode; nothing may be missing or left over."""
    model, info = auto.from_pretrained(folder, attn_implementation="eager", output_loading_info=True)
    assert not any(info.values()), info
    return model.eval()


def run(model, tokenizer):
    """Hidden states and attentions of all layers, of the encoder where there are two stacks."""
    inputs = dict(tokenizer(SENTENCE, return_tensors="pt"))
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = inputs["input_ids"][:, :5]
    with torch.no_grad():
        output = model(**inputs, output_hidden_states=True, output_attentions=True)
    stack = "encoder_" if model.config.is_encoder_decoder else ""
    return output[stack + "hidden_states"], output[stack + "attentions"]


@families
@pytest.mark.parametrize("head", [True, False])
def test_a_family_loads_whole_and_runs(family, head, tmp_path):
    folder = tiny.build(family, tmp_path / family, head=head)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    auto = getattr(transformers, tiny.FAMILIES[family].head) if head else AutoModel
    model = load(auto, folder)

    assert json.loads((folder / "config.json").read_text())["architectures"] == [type(model).__name__]
    assert model.dtype == torch.float32
    assert type(tokenizer).__name__ == KINDS[tiny.FAMILIES[family].tokenizer].loaded_as
    hidden_states, attentions = run(model, tokenizer)
    assert len(hidden_states) == 4
    assert all(state.shape[-1] == 32 and state.isfinite().all() for state in hidden_states)
    assert len(attentions) == 3
    for weights in attentions:
        last = weights[0, :, -1]  # [4, tokens]: what the last token sees, also under a causal mask
        seen = last[last > 0].reshape(4, -1)
        assert (seen.max(dim=-1).values > 1.2 / seen.shape[-1]).all()


@families
def test_special_ids_are_the_tokenizers(family, tmp_path):
    folder = tiny.build(family, tmp_path)
    config = transformers.AutoConfig.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert config.vocab_size == len(tokenizer)
    assert config.pad_token_id == tokenizer.pad_token_id
    assert config.eos_token_id in (tokenizer.eos_token_id, tokenizer.sep_token_id)
    if config.is_encoder_decoder:
        assert config.decoder_start_token_id is not None


def test_a_seed_gives_the_same_weights_and_leaves_the_random_state_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, same, other = (tiny.build("gpt2", tmp_path / str(i), seed=seed) for i, seed in enumerate((1, 1, 2)))
    assert torch.equal(torch.rand(3), expected)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (one, same, other)]
    assert weights[0] == weights[1] != weights[2]


def test_config_overrides_reach_the_config(tmp_path):
    model = load(AutoModel, tiny.build("bert", tmp_path, head=False, num_hidden_layers=1, hidden_size=16))
    assert (len(model.encoder.layer), model.config.hidden_size) == (1, 16)


def test_sliding_windows_hide_what_is_far(tmp_path):
    layers = {"mistral": [0, 1, 2], "gemma3": [0, 2], "modernbert": [1]}
    for family, sliding in layers.items():
        folder = tiny.build(family, tmp_path / family)
        model = load(getattr(transformers, tiny.FAMILIES[family].head), folder)
        _, attentions = run(model, AutoTokenizer.from_pretrained(folder))
        first_seen_by_last = [bool((weights[0, :, -1, 0] > 0).all()) for weights in attentions]
        assert first_seen_by_last == [layer not in sliding for layer in range(3)], family


@kinds
def test_the_pipeline_survives_saving(kind, tmp_path):
    tokenizer = tiny.tokenizer(kind)
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert type(again) is type(tokenizer)
    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()
    assert again("A cat.", "Two dogs.").data == tokenizer("A cat.", "Two dogs.").data


@kinds
def test_every_piece_of_the_sentence_is_known(kind):
    tokenizer = tiny.tokenizer(kind)
    ids = tokenizer(SENTENCE, add_special_tokens=False)["input_ids"]
    assert len(ids) <= tiny.POSITIONS - 2
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids).lower().replace(" ", "") == SENTENCE.lower().replace(" ", "")


@slow
def test_a_slow_tokenizer_is_slow_and_loads(name, tmp_path):
    made = tiny.SLOW_TOKENIZERS[name](tmp_path)
    made.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert not tokenizer.is_fast
    ids = tokenizer(SENTENCE)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert ids == made(SENTENCE)["input_ids"]


def test_building_is_quiet_and_restores_the_settings(tmp_path, capfd):
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    capfd.readouterr()
    tiny.build("t5", tmp_path)
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
