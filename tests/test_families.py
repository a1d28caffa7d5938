"""The same numbers as plain transformers, on every family that is named."""

import numpy as np
import pytest
import torch

import layerscope as ls
import oracle
from layerscope.errors import InputError, ModelError
from tiny import build

TEXT = "Then I tried to find some way of embracing my mother's ghost."
TEXTS = [
    TEXT,
    "Hi!",
    "The bank of the river was steep and green, and nobody walked there.",
    "我去银行 🙂 café",
    "a b c",
]
ENCODER_DECODERS = ("t5", "bart")
TOLERANCE = 1e-5


def outputs_of(trace):
    return {name: getattr(trace, name) for name in trace.outputs}


def compare(trace, expected):
    ours = outputs_of(trace)
    assert ours.keys() >= expected.keys(), ours.keys() ^ expected.keys()
    for name, theirs in expected.items():
        scale = max(1.0, float(np.abs(theirs).max()))
        assert oracle.largest_difference(ours[name], theirs) <= TOLERANCE * scale, name


def test_every_output_equals_plain_transformers(family, tiny, tiny_folder):
    target = "My mother's ghost." if family in ENCODER_DECODERS else None
    trace = tiny(family).run(TEXT, target=target, attention=True, logits=True)
    compare(trace, oracle.plain(tiny_folder(family), family, TEXT, target=target))


def test_without_attention_the_hidden_states_are_the_same(family, tiny, tiny_folder):
    expected = oracle.plain(tiny_folder(family), family, TEXT)
    compare(tiny(family).run(TEXT), {"hidden_states": expected["hidden_states"]})


def test_pairs_equal_plain_transformers(family, tiny, tiny_folder):
    pair = "What did I do then?"
    expected = oracle.plain(tiny_folder(family), family, TEXT, pair)
    trace = tiny(family).run(TEXT, pair, attention=True)
    compare(trace, {name: expected[name] for name in ("hidden_states", "attentions")})


@pytest.mark.parametrize("side", ["left", "right"])
def test_batched_equals_one_by_one(family, side, tiny):
    model = tiny(family)
    was, model.tokenizer.padding_side = model.tokenizer.padding_side, side
    try:
        targets = [text[::-1] for text in TEXTS] if model.kind == "encoder-decoder" else None
        asked = {"attention": True, "logits": True}
        together = model.run_many(TEXTS, targets=targets, **asked)
        for number, trace in enumerate(together):
            alone = model.run(TEXTS[number], target=targets and targets[number], **asked)
            assert trace.tokens.text == TEXTS[number]
            compare(trace, outputs_of(alone))
    finally:
        model.tokenizer.padding_side = was


def test_stopping_early_is_bit_equal_to_the_full_pass(family, tiny):
    full = tiny(family).run(TEXT, attention=True)
    for layer in range(4):
        part = tiny(family).run(TEXT, layers=layer, attention=True)
        assert part.layers == (layer,)
        np.testing.assert_array_equal(part.hidden_states[0], full.hidden_states[layer])
        if layer:
            np.testing.assert_array_equal(part.attentions[0], full.attentions[layer - 1])
        else:
            assert not len(part.outputs.get("attentions", ()))


def test_stopping_early_runs_no_deeper_module(family, tiny):
    model = tiny(family)
    sites = model.sites()
    deepest = model.hf.get_submodule(sites["hidden_states", 3].module)
    entered = []
    handle = deepest.register_forward_hook(lambda *_: entered.append(1))
    try:
        model.run(TEXT, layers=0)
        stopped = len(entered)
        model.run(TEXT, layers=3)
    finally:
        handle.remove()
    shared = sites["hidden_states", 3].call  # ALBERT's blocks are one module, called again
    assert len(entered) - stopped == shared + 1
    assert stopped == 0


def test_the_model_is_left_as_it_was(family, tiny):
    model = tiny(family)
    model.sites(
        attention=True
    )  # reading a model for the first time makes transformers set hooks of its own, to stay
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.hf.modules())
    implementation = model.hf.config._attn_implementation
    model.hf.train()
    try:
        model.run(TEXT, attention=True, layers=1)
        assert all(module.training for module in model.hf.modules())
    finally:
        model.hf.eval()
    assert model.hf.config._attn_implementation == implementation
    assert sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.hf.modules()) == hooks


def test_training_mode_changes_no_number(family, tiny):
    model = tiny(family)
    expected = model.run(TEXT).hidden_states
    model.hf.train()
    try:
        np.testing.assert_array_equal(model.run(TEXT).hidden_states, expected)
    finally:
        model.hf.eval()


def test_rows_of_attention_sum_to_one(family, tiny):
    trace = tiny(family).run(TEXT, attention=True)
    np.testing.assert_allclose(trace.attentions.sum(-1), 1, atol=1e-5)
    for unit in ("token", "word"):
        np.testing.assert_allclose(trace.attention(layer=2, head=1, unit=unit).sum(axis=1), 1, atol=1e-5)


def test_long_texts_pass_in_windows(family, tiny):
    model = tiny(family)
    text = " ".join(f"word{n % 7}" for n in range(90))
    trace = model.run(text)
    assert np.isfinite(trace.hidden_states).all()
    assert trace.hidden_states.shape[1] == len(trace.tokens) == len(model.tokenize(text))
    if model.context_window is None:
        assert len(trace.windows) == 1
        return
    assert model.context_window == 64
    assert len(trace.windows) > 1
    with pytest.raises(InputError, match="context window"):
        model.run(text, long="error")
    with pytest.raises(InputError, match="must fit"):
        model.run(text, attention=True)
    cut = model.run(text, long="cut", attention=True)
    assert len(cut.tokens) == 64
    assert cut.tokens.num_cut == len(trace.tokens) - 64
    if model.kind == "decoder":  # what comes before is all that a causal model sees of the first window
        np.testing.assert_allclose(trace.hidden_states[:, :64], cut.hidden_states, atol=1e-4)


def test_gradients_are_left_to_the_plain_model(family, tiny):
    model = tiny(family)
    model.run(TEXT)
    assert torch.is_grad_enabled()


def test_kinds(family, tiny):
    kinds = {"t5": "encoder-decoder", "bart": "encoder-decoder"}
    decoders = {"gpt2", "gpt-neox", "opt", "bloom", "falcon", "llama", "mistral", "qwen3", "gemma3"}
    model = tiny(family)
    assert model.kind == kinds.get(family, "decoder" if family in decoders else "encoder")
    assert (model.num_layers, model.num_heads, model.hidden_size) == (3, 4, 32)
    assert model.vocab_size >= len(model.tokenizer)


@pytest.mark.parametrize(
    ("family", "depth"),
    [("t5", {"num_decoder_layers": 5}), ("t5", {"num_decoder_layers": 1}), ("bart", {"decoder_layers": 1})],
)
def test_a_decoder_may_be_deeper_or_less_deep_than_its_encoder(family, depth, tmp_path):
    folder, (count,) = build(family, tmp_path, **depth), depth.values()
    model, target = ls.load(folder, device="cpu"), "My mother's ghost."
    assert (model.num_layers, model.num_decoder_layers) == (3, count)
    full = model.run(TEXT, target=target, attention=True, logits=True)
    compare(full, oracle.plain(folder, family, TEXT, target=target))
    assert ls.verify(model, [TEXT]).passed
    assert full.decoder_hidden_states.shape[0] == count + 1
    np.testing.assert_array_equal(full.attention(-1, 0, side="decoder"), full.decoder_attentions[-1, 0])
    np.testing.assert_array_equal(full.attention(count, 0, side="cross"), full.cross_attentions[-1, 0])
    deepest = max(count, 3)
    part = model.run(TEXT, target=target, layers=[1, deepest], attention=True)
    assert part.layers == ((1, 3) if count < 3 else (1,))
    assert part.decoder_layers == ((1,) if count < 3 else (1, count))
    np.testing.assert_array_equal(
        part.decoder_hidden_states[-1], full.decoder_hidden_states[part.decoder_layers[-1]]
    )
    with pytest.raises(InputError, match=f"layers 0 .embeddings. to {deepest}"):
        model.run(TEXT, target=target, layers=deepest + 1)
    with pytest.raises(InputError, match="does not exist"):
        full.attention(deepest if count < 3 else count + 1, side="decoder")
    only_encoder = model.run(TEXT, target=target, layers=3)
    if count < 3:
        with pytest.raises(ModelError, match="None of the decoder's layers"):
            _ = only_encoder.decoder_hidden_states


def test_an_encoder_has_no_decoder(tiny):
    with pytest.raises(InputError, match="target= is for encoder-decoders"):
        tiny("bert").run(TEXT, target="x")
    with pytest.raises(ModelError, match="no separate decoder"):
        _ = tiny("bert").run(TEXT).decoder_hidden_states


def test_an_encoder_decoder_says_what_its_decoder_needs(tiny):
    with pytest.raises(ModelError, match="run with target="):
        _ = tiny("t5").run(TEXT).decoder_hidden_states
    with pytest.raises(InputError, match="give target="):
        tiny("t5").run(TEXT, logits=True)
