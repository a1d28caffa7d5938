"""Every step inside a block, against plain transformers; and that whatever does not add up is refused."""

import numpy as np
import peft
import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

import layerscope as ls
from layerscope.analysis.blocks.step import step
from layerscope.errors import InputError, ModelError
from tiny import LLAMA, build, quiet, randomise, tokenizer

TEXT = "Then I tried to find some way of embracing my mother's ghost."
KINDS = {
    "BERT-like": {"bert", "roberta", "xlm-roberta", "electra", "distilbert", "albert"},
    "GPT-2-like": {"gpt2"},
    "Llama-like": {"llama", "mistral", "qwen3"},
}
KIND_OF = {family: kind for kind, families in KINDS.items() for family in families}
UNSEEN = {"rotated queries", "rotated keys", "scores", "masked scores"}


def of(config, words="llama", **sizes):
    """A tiny random decoder of a config, wrapped."""
    given = tokenizer(words)
    made = getattr(transformers, config)(vocab_size=len(given), **LLAMA, **sizes)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hf = transformers.AutoModelForCausalLM.from_config(made)
        randomise(hf)
    return ls.wrap(hf, given)


def plain(model, text, **ask):
    hf, ids = model.hf, model.tokenizer(text, return_tensors="pt")
    kept = {name: value for name, value in ids.items() if name in model.forward_names}
    implementation = hf.config._attn_implementation
    hf.set_attn_implementation("eager")
    with torch.no_grad():
        output = hf(**kept, output_hidden_states=True, output_attentions=True)
    hf.set_attn_implementation(implementation)
    return output


def check_against_plain(model, text=TEXT):
    """Each layer begins, attends and ends as plain transformers reports it."""
    theirs = plain(model, text)
    for layer in range(1, model.num_layers + 1):
        found = ls.anatomy(model, text, layer)
        states, attention = theirs.hidden_states, theirs.attentions[layer - 1][0]
        near = {"rtol": 1e-4, "atol": 1e-4}
        np.testing.assert_allclose(found.steps[0].array, states[layer - 1][0], **near)
        np.testing.assert_allclose(found.step("probabilities").array, attention, **near)
        np.testing.assert_allclose(found.steps[-1].array, states[layer][0], **near)
        assert found.largest < 1e-5
        assert {one.name for one in found.steps if one.difference is None} <= UNSEEN
    return found


def test_the_bundled_model(model):
    found = check_against_plain(model)
    assert (found.kind, found.block) == ("BERT-like", "encoder.layer.5 (BertLayer)")
    assert found.key_heads == tuple(range(12))


def test_every_family_adds_up_or_is_refused(tiny, family):
    model = tiny(family)
    if family in KIND_OF:
        found = check_against_plain(model)
        assert found.kind == KIND_OF[family]
        assert ("masked scores" in {one.name for one in found.steps}) == (model.kind == "decoder")
        assert (found.steps[-1].name == "final norm") == (model.kind == "decoder")
    else:
        with pytest.raises(
            ModelError, match=r"\(\w+\) is of no kind that can be .* Next to a \S+ one it has "
        ):
            ls.anatomy(model, TEXT, 1)


def test_the_steps_of_a_layer_against_its_own_modules(model):
    """Those that no output of the model shows, worked out with torch."""
    block = model.hf.encoder.layer[2]
    found = ls.anatomy(model, TEXT, 3)
    with torch.no_grad():
        x = torch.from_numpy(found.step("input").array)
        q, k, v = (getattr(block.attention.self, name)(x) for name in ("query", "key", "value"))
        q, k, v = (part.view(len(x), 12, 32).transpose(0, 1) for part in (q, k, v))
        expected = {
            "scores": q @ k.mT / 32**0.5,
            "weighted values": torch.nn.functional.scaled_dot_product_attention(q, k, v),
            "norm after attention": (attended := block.attention(x[None])[0][0]),
            "activation": block.intermediate(attended),
            "output": block(x[None])[0],
        }
    for name, value in expected.items():
        np.testing.assert_allclose(found.step(name).array, value, rtol=1e-4, atol=1e-5)


def test_rotation_and_shared_keys_against_transformers(tiny):
    model = tiny("llama")
    found = ls.anatomy(model, TEXT, 2)
    assert found.key_heads == (0, 0, 1, 1)
    q, k = (torch.from_numpy(found.step(name).array)[None] for name in ("queries", "keys"))
    cos, sin = model.hf.model.rotary_emb(q, torch.arange(q.shape[2])[None])
    q, k = apply_rotary_pos_emb(q, k, cos, sin)
    np.testing.assert_allclose(found.step("rotated queries").array, q[0], atol=1e-5)
    np.testing.assert_allclose(found.step("rotated keys").array, k[0], atol=1e-5)
    scores = (q[0] @ k[0].repeat_interleave(2, dim=0).mT) / 8**0.5
    np.testing.assert_allclose(found.step("scores").array, scores, atol=1e-4)
    hidden = np.isneginf(found.step("masked scores").array)
    assert (hidden == np.triu(np.ones_like(hidden), 1)).all()


def test_the_real_decoder(decoder):
    found = ls.anatomy(decoder, "The capital of France is", 8)
    assert found.largest < 1e-5
    assert (found.kind, found.key_heads) == ("Llama-like", (0, 0, 0, 1, 1, 1, 2, 2, 2))
    states = decoder.run("The capital of France is").hidden_state(8)
    np.testing.assert_allclose(found.step("output").array, states, rtol=1e-3, atol=1e-3)
    check = ls.anatomy(decoder, "The capital of France is")
    assert (check.layer, check.steps[-1].name) == (30, "final norm")


@pytest.mark.parametrize(
    ("config", "sizes"),
    [
        ("Qwen2Config", {}),  # biases in queries, keys and values
        ("LlamaConfig", {"attention_bias": True, "mlp_bias": True, "hidden_act": "gelu_pytorch_tanh"}),
        (
            "StableLmConfig",
            {"partial_rotary_factor": 0.5, "use_qkv_bias": True},
        ),  # LayerNorm, and half is turned
        ("LlamaConfig", {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}}),
    ],
)
def test_relatives_of_llama(config, sizes):
    assert check_against_plain(of(config, **sizes)).kind == "Llama-like"


def test_a_sliding_window_is_followed():
    found = check_against_plain(of("MistralConfig", head_dim=8, sliding_window=4))
    seen = np.isfinite(found.step("masked scores").array[0]).sum(axis=1)
    assert seen.tolist() == [1, 2, 3, *[4] * (len(seen) - 3)]


def test_scaling_by_layer_is_followed(tmp_path):
    folder = build("gpt2", tmp_path / "gpt2", scale_attn_by_inverse_layer_idx=True)
    found = check_against_plain(ls.load(folder, device="cpu"))
    assert found.step("scores").formula == f"s = q kᵀ / {3 * 8**0.5:.4g}"


def test_a_bert_that_reads_from_left_to_right(tmp_path):
    with quiet():
        folder = build("bert", tmp_path / "bert", head=False, is_decoder=True)
        model = ls.load(folder, device="cpu")
    assert "masked scores" in {one.name for one in check_against_plain(model).steps}


def test_what_is_like_a_kind_but_computes_something_else_is_refused():
    """Granite has Llama's parts, and multiplies what is added; the first GPT has GPT-2's, and norms afterwards."""
    granite = of("GraniteConfig", residual_multiplier=0.5)
    with pytest.raises(ModelError, match="Layer 2 of .* does not add up: sum after attention differs"):
        ls.anatomy(granite, TEXT, 2)
    gpt = of("OpenAIGPTConfig", n_positions=64, n_embd=32, n_layer=3, n_head=4)
    with pytest.raises(ModelError, match="does not add up: norm before attention differs"):
        ls.anatomy(gpt, TEXT, 2)


def test_a_capped_attention_is_refused():
    """Gemma 2 caps its scores; without its further norms it would look like Llama's."""
    gemma = of("Gemma2Config", head_dim=8)
    with pytest.raises(ModelError, match="Gemma2DecoderLayer"):
        ls.anatomy(gemma, TEXT, 1)


@pytest.mark.parametrize(
    ("part", "differs"),
    [
        ("attn.c_attn", "queries"),
        ("attn", "sum after attention"),
        ("attn.c_proj", "attention output"),
        ("ln_2", "norm before feed-forward"),
        ("mlp.act", "activation"),
        ("mlp", "output"),
        ("", "output"),
    ],
)
def test_a_hook_that_changes_a_number_is_found(tmp_path, part, differs):
    model = ls.load(build("gpt2", tmp_path / "gpt2"), device="cpu")
    assert ls.anatomy(model, TEXT, 2).largest < 1e-5

    def changed(_module, _inputs, output):
        first = output[0] if isinstance(output, tuple) else output
        first.view(-1)[3] += 0.01 * first.abs().max()
        return output

    model.hf.transformer.h[1].get_submodule(part).register_forward_hook(changed)
    with pytest.raises(ModelError, match=f"does not add up: {differs} differs"):
        ls.anatomy(model, TEXT, 2)
    assert ls.anatomy(model, TEXT, 3).largest < 1e-5  # that begins from what the model has there


def test_attention_that_is_computed_otherwise_is_refused(tmp_path, monkeypatch):
    from transformers.models.llama import modeling_llama

    model = ls.load(build("llama", tmp_path / "llama"), device="cpu")
    monkeypatch.setattr(modeling_llama, "apply_rotary_pos_emb", lambda q, k, cos, sin: (q, k))
    with pytest.raises(ModelError, match="does not add up: probabilities differs"):
        ls.anatomy(model, TEXT, 2)


def test_a_block_with_more_parts_is_not_drawn(tmp_path):
    model = ls.load(build("llama", tmp_path / "llama"), device="cpu")
    for block in model.hf.model.layers:
        block.mlp.adapter = torch.nn.Linear(2, 2)
    with pytest.raises(ModelError, match="LlamaDecoderLayer"):
        ls.anatomy(model, TEXT, 1)


def test_parts_that_do_not_fit_together_are_refused(tmp_path):
    """A norm over something else than a head: of the same name, and not the same."""
    model = ls.load(build("qwen3", tmp_path / "qwen3"), device="cpu")
    model.hf.model.layers[0].self_attn.q_norm.forward = lambda x: x
    model.hf.model.layers[0].self_attn.q_norm.weight = torch.nn.Parameter(torch.ones(64))
    with pytest.raises(
        ModelError, match="another way than Llama-like blocks .* cannot be followed after values"
    ):
        ls.anatomy(model, TEXT, 1)


def test_shapes_are_not_stretched_over_each_other():
    with pytest.raises(ValueError, match=r"queries is \(2, 3, 4\) here and \(1, 3, 4\) in the model"):
        step("queries", "q", np.ones((2, 3, 4)), np.ones((1, 3, 4)))


def test_quantised_weights_are_refused(tmp_path):
    model = ls.load(build("bert", tmp_path / "bert"), device="cpu")
    dense = model.hf.base_model.encoder.layer[0].output.dense
    weight = dense.weight.detach()
    dense.forward = lambda x: torch.nn.functional.linear(x, weight, dense.bias)
    dense.weight = torch.nn.Parameter(weight.to(torch.int8), requires_grad=False)
    with pytest.raises(ModelError, match="weight of Linear is kept quantised .*int8"):
        ls.anatomy(model, TEXT, 1)


def test_an_activation_that_is_not_known(tmp_path):
    model = ls.load(build("bert", tmp_path / "bert", hidden_act="mish"), device="cpu")
    with pytest.raises(ModelError, match="activation 'mish' is not supported here; known: gelu,"):
        ls.anatomy(model, TEXT, 1)


def test_a_part_that_is_passed_in_chunks_is_proven_by_what_follows(tmp_path):
    model = ls.load(build("bert", tmp_path / "bert", chunk_size_feed_forward=1), device="cpu")
    found = ls.anatomy(model, TEXT, 2)
    unseen = {one.name for one in found.steps if one.difference is None}
    assert unseen == {"scores", "up", "activation", "down", "sum after feed-forward"}
    assert found.largest < 1e-5


def test_half_precision_is_held_to_its_own_rounding():
    model = ls.load(device="cpu", dtype="bfloat16")
    assert 1e-4 < ls.anatomy(model, TEXT, 1).largest < 1e-1


def test_numbers_that_are_none(tmp_path):
    model = ls.load(build("gpt2", tmp_path / "gpt2"), device="cpu")
    model.sites(attention=True)
    with torch.no_grad():
        model.hf.transformer.h[1].mlp.c_fc.bias[0] = torch.nan
    with pytest.raises(ModelError, match="holds NaN or infinity"):
        ls.anatomy(model, TEXT, 2)


@pytest.mark.parametrize("text", ["a", "🙂", "\n", "The the THE the"])
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_short_and_awkward_texts(tiny, family, text):
    assert ls.anatomy(tiny(family), text, 2).largest < 1e-5


def test_one_token(tiny):
    found = ls.anatomy(tiny("gpt2"), "a", 1)
    assert len(found.tokens) == 1
    assert (found.step("probabilities").array == 1).all()
    assert "masked scores" not in {one.name for one in found.steps}  # nothing is hidden from it


def test_a_pair(model):
    found = ls.anatomy(model, "Who came?", 1, pair="A ghost.")
    states = model.run("Who came?", "A ghost.").hidden_state(1)
    np.testing.assert_allclose(found.step("output").array, states, atol=1e-5)


def test_mistakes(model, tiny):
    with pytest.raises(InputError, match="Layer 0 is the embedding output, .*layers 1 to 6"):
        ls.anatomy(model, TEXT, 0)
    with pytest.raises(InputError, match="Layer 8 does not exist"):
        ls.anatomy(model, TEXT, 8)
    with pytest.raises(InputError, match="602 tokens; anatomy shows at most 512"):
        ls.anatomy(model, "a " * 600, 1)
    with pytest.raises(InputError, match="no token to follow"):
        ls.anatomy(tiny("gpt2"), "", 1)
    found = ls.anatomy(model, TEXT, 1)
    with pytest.raises(InputError, match="Unknown step 'querys'; known: input, queries, .*'queries'"):
        found.step("querys")
    with pytest.raises(
        InputError, match="'values' is no table of queries and keys; scores, probabilities are"
    ):
        found.head(0, "values")
    with pytest.raises(InputError, match="Head 12 does not exist"):
        found.head(12)


def test_the_model_is_left_as_it_was(model):
    def state():
        hooks = [len(one._forward_hooks) + len(one._forward_pre_hooks) for one in model.hf.modules()]
        return model.hf.config._attn_implementation, hooks

    model.sites(attention=True)
    before = state()
    ls.anatomy(model, TEXT, 2)
    assert state() == before


def test_what_comes_out(model):
    found = ls.anatomy(model, "A ghost.", 1)
    table = found.table()
    assert list(table.columns) == [
        "shape",
        "axes",
        "formula",
        "length",
        "difference",
        "relative",
        "explanation",
    ]
    assert table.loc["queries", ["shape", "axes"]].tolist() == ["12 × 5 × 32", "head token width"]
    assert np.isnan(table.loc["scores", ["length", "difference"]].astype(float)).all()
    lengths = np.linalg.norm(model.run("A ghost.").hidden_state(1), axis=1)
    assert table.loc["output", "length"] == pytest.approx(np.median(lengths), rel=1e-5)
    head = found.head(3)
    np.testing.assert_allclose(head.sum(axis=1), 1, rtol=1e-5)
    assert list(head.index) == list(head.columns) == list(found.tokens.strings)
    plain_values = found.to_dict()
    assert [one["name"] for one in plain_values["steps"]] == list(table.index)
    assert plain_values["steps"][4]["relative"] is None
    assert plain_values["largest_relative_difference"] == found.largest == table["relative"].max()


# --- With adapters, and with vectors before the text -----------------------------------------------


def adapted(folder, config):
    with quiet():
        hf = AutoModelForCausalLM.from_pretrained(folder).eval()
        hf = peft.get_peft_model(hf, config).eval()
        return ls.wrap(hf, AutoTokenizer.from_pretrained(folder), "mine")


LLAMA_BLOCK = "llama", "LlamaDecoderLayer"
ADAPTERS = {
    "LoRA": (*LLAMA_BLOCK, peft.LoraConfig, ["q_proj"], "self_attn.q_proj", "Linear"),
    "LoHa": (*LLAMA_BLOCK, peft.LoHaConfig, ["up_proj"], "mlp.up_proj", "Linear"),
    "norms": (*LLAMA_BLOCK, peft.LNTuningConfig, ["input_layernorm"], "input_layernorm", "LNTuningLayer"),
    "GPT-2": ("gpt2", "GPT2Block", peft.LoraConfig, ["c_attn"], "attn.c_attn", "Linear"),
}


@pytest.mark.parametrize("what", ADAPTERS)
def test_adapters_are_named_and_merged_they_are_followed(what, tiny_folder):
    family, block, make, targets, part, kind = ADAPTERS[what]
    model = adapted(tiny_folder(family), make(task_type="CAUSAL_LM", target_modules=targets))
    with pytest.raises(ModelError) as caught:
        ls.anatomy(model, TEXT, 1)
    assert str(caught.value) == (
        f"Layer 1 of mine ({block}) cannot be followed: its {part} is a peft.{kind}. Merge adapters into the weights "
        "first (merge_and_unload() of PEFT), and wrap the model again."
    )
    with quiet():
        merged = ls.wrap(model.hf.merge_and_unload(), model.tokenizer)
    assert ls.anatomy(merged, TEXT, 1).largest < 1e-5


def test_adapters_on_a_block_that_could_not_be_followed_anyway_are_not_to_blame(tiny_folder):
    config = peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["query_key_value"])
    with pytest.raises(ModelError, match=r"\(GPTNeoXLayer\) is of no kind that can be followed"):
        ls.anatomy(adapted(tiny_folder("gpt-neox"), config), TEXT, 1)


@pytest.mark.parametrize(
    ("make", "output", "axes"),
    [
        (peft.PromptTuningConfig, "hidden_states", "token, hidden"),
        (peft.PrefixTuningConfig, "attentions", "head, query, key"),
    ],
)
def test_vectors_before_the_text_are_said(make, output, axes, tiny_folder):
    model = adapted(tiny_folder("llama"), make(task_type="CAUSAL_LM", num_virtual_tokens=4))
    said = rf"{output} has the shape .* for texts of \d+ tokens, which is not \[text, {axes}\]"
    with pytest.raises(ModelError, match=said):
        ls.anatomy(model, TEXT, 1)


def test_a_layer_without_attention_is_said(tiny):
    model = ls.wrap(tiny("llama").hf, tiny("llama").tokenizer)
    del model.sites(attention=True)["attentions", 1]
    with pytest.raises(
        ModelError, match=r"^Layer 2 of .* shows no attention, so its block cannot be followed\.$"
    ):
        ls.anatomy(model, TEXT, 2)
