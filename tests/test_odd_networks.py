"""Networks that break what one is used to assume: read as plain transformers gives it, or refused with the reason."""

import numpy as np
import pytest
import torch

import layerscope as ls
from layerscope.errors import InputError, ModelError
from odd import ODD, odd
from tiny import build

TEXTS = ["Hi there.", "The bank of the river was steep and green.", "the old man told me a story"]
WITHOUT_ATTENTION = {"longformer", "rwkv", "mamba", "yoso", "mra", "paligemma"}


@pytest.fixture(scope="module")
def wrapped():
    """A wrapped odd network, made when first asked for."""
    made = {}

    def wrap(name):
        if name not in made:
            made[name] = ls.wrap(*odd(name), name)
        return made[name]

    return wrap


def plain(model, text, target=None, **ask):
    """The network's own output for one text, as its tokenizer gives it."""
    inputs = {
        name: value
        for name, value in model.tokenizer(text, return_tensors="pt").items()
        if name in model.forward_names
    }
    if target is not None:
        inputs["decoder_input_ids"] = torch.from_numpy(target.ids)[None]
        inputs["use_cache"] = False  # with it, FSMT's decoder sees what follows a token
    with torch.no_grad():
        return model.hf(**inputs, **ask)


def close(ours, theirs, tolerance=1e-5):
    theirs = np.asarray(theirs)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max()) <= tolerance * max(1.0, float(np.abs(theirs).max()))


def states_of(output):
    states = output.get("hidden_states") or output["encoder_hidden_states"]
    return np.stack([one[0] if one.ndim == 3 else one[0, 0] for one in states])


@pytest.mark.parametrize("name", sorted(ODD))
def test_states_and_logits_equal_plain_transformers_alone_and_together(name, wrapped):
    model = wrapped(name)
    targets = TEXTS[::-1] if model.is_encoder_decoder else None
    together = model.run_many(TEXTS, targets=targets, logits=model.has_head)
    for number, text in enumerate(TEXTS):
        target = targets and targets[number]
        alone = model.run(text, target=target, logits=model.has_head)
        theirs = plain(model, text, alone.target, output_hidden_states=True)
        for trace in (alone, together[number]):
            assert close(trace.hidden_states, states_of(theirs))
            if model.has_head:
                assert close(trace.logits, theirs["logits"][0])
            if target is not None:
                assert close(
                    trace.decoder_hidden_states, np.stack([one[0] for one in theirs["decoder_hidden_states"]])
                )
        for layer in range(4):  # without early stop where it must be, and the same numbers
            assert close(model.run(text, layers=layer).hidden_states[0], alone.hidden_states[layer])


@pytest.mark.parametrize("name", sorted(ODD))
def test_a_corpus_has_the_means_of_plain_states(name, wrapped, tmp_path):
    model = wrapped(name)
    features = ls.extract(model, TEXTS, tmp_path / "out", ["mean@all"])
    for layer in range(4):
        target = model.run(TEXTS[0], target=TEXTS[0]).target if model.is_encoder_decoder else None
        theirs = [states_of(plain(model, text, target, output_hidden_states=True))[layer] for text in TEXTS]
        assert close(features.to_numpy(f"mean_{layer}"), [one.mean(axis=0) for one in theirs])


@pytest.mark.parametrize("name", sorted(ODD))
def test_verify_covers_it_and_says_what_it_left_out(name, wrapped):
    verification = ls.verify(wrapped(name), TEXTS)
    assert verification.passed, verification.table()
    said = " ".join(verification.left_out)
    assert ("attention: " in said) == (name in WITHOUT_ATTENTION)


@pytest.mark.parametrize("name", sorted(set(ODD) - WITHOUT_ATTENTION - {"longt5", "led"}))
def test_attention_of_each_block_is_that_of_plain_transformers(name, wrapped):
    model, text = wrapped(name), TEXTS[1]
    trace = model.run(text, target=text if model.is_encoder_decoder else None, attention=True)
    eager = ls.wrap(*odd(name), name)
    eager.hf.set_attn_implementation("eager")
    theirs = plain(eager, text, trace.target, output_attentions=True)
    own = [one for one in theirs.get("attentions") or theirs["encoder_attentions"] if one is not None]
    having = (3,) if name == "jamba" else (1, 2, 3)
    assert trace.attention_layers["attentions"] == having
    for layer, attention in zip(having, own, strict=True):
        for head in range(attention.shape[1]):
            assert close(trace.attention(layer, head).to_numpy(), attention[0, head])


def test_of_a_hybrid_network_only_the_blocks_with_attention_have_it(wrapped):
    model = wrapped("jamba")
    trace = model.run("the old man", attention=True)
    assert trace.attentions.shape[0] == 1
    assert ls.heads(model, ["the old man"]).table()["layer"].unique().tolist() == [3]
    assert ls.partners(trace).table()["layer"].unique().tolist() == [3]
    assert model.run("the old man", attention=True, layers=3).attention(layer=3, head=0).shape == (5, 5)
    for layer in (1, 2):
        with pytest.raises(InputError, match=rf"Layer {layer} of jamba has no attention; .*these have: 3\."):
            trace.attention(layer=layer)
    with pytest.raises(
        ModelError, match="None of the layers that were kept has attention; in jamba these have: 3"
    ):
        _ = model.run("the old man", attention=True, layers=1).attentions


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "longformer",
            r"attentions has the shape \[1, 4, \d+, 9\] .*, which is not \[text, head, query, key\]",
        ),
        (
            "rwkv",
            r"has the shape \[1, \d+, 32\] for texts of \d+ tokens, which is not \[text, head, query, key\]",
        ),
        ("mamba", "returns no attention"),
        ("paligemma", "computes something else when it is asked for its attention"),
    ],
)
def test_attention_that_cannot_be_shown_is_refused_with_the_reason_and_the_rest_is_looked_at(
    name, says, wrapped
):
    from layerscope.analysis.look import look

    with pytest.raises(ModelError, match=says):
        wrapped(name).run(TEXTS[0], attention=True)
    seen = look(wrapped(name), TEXTS[0])
    assert not seen.attention
    assert seen.lengths.shape[0] == 4
    assert seen.note


@pytest.mark.parametrize(
    ("name", "output"), [("longt5", "attentions"), ("led", "attentions"), ("prophetnet", "cross_attentions")]
)
def test_one_output_that_cannot_be_read_takes_no_other_with_it(name, output, wrapped):
    trace = wrapped(name).run(TEXTS[0], target=TEXTS[1], attention=True)
    assert trace.decoder_attentions.shape[0] == 3
    with pytest.raises(ModelError, match=f"reports as {output} has the shape .*, which is not"):
        _ = getattr(trace, output)


def test_a_pooler_that_is_no_layer_is_left_out_with_the_reason(wrapped):
    trace = wrapped("clip").run(TEXTS[0], attention=True)
    assert trace.attentions.shape[:2] == (3, 4)
    with pytest.raises(ModelError, match="it is no trained layer"):
        _ = trace.pooler_output


KINDS = {
    "encoder-decoder": {"fsmt", "led", "longt5", "prophetnet", "bert2bert", "t5gemma"},
    "decoder": {"gemma3n", "rwkv", "mamba", "jamba", "mpt", "llava", "qwen2_vl", "clip"},
}


@pytest.mark.parametrize("name", sorted(ODD))
def test_the_kind_is_found_by_trying(name, wrapped):
    kinds = [kind for kind, names in KINDS.items() if name in names]
    assert wrapped(name).kind == (kinds[0] if kinds else "encoder")


def test_of_a_causal_network_of_images_and_texts_the_lens_asks_for_the_next_token(wrapped):
    model = wrapped("qwen2_vl")
    found = ls.lens(model, TEXTS[2])
    assert found.actual_ids.tolist() == [*found.tokens.ids[1:].tolist(), -1]
    assert wrapped("paligemma").predicts_next


ONE_BY_ONE = {"mobilebert", "convbert", "nystromformer", "yoso", "prophetnet", "paligemma"}


@pytest.mark.parametrize("name", sorted(ODD))
def test_texts_that_change_each_other_pass_one_by_one(name, wrapped):
    model, sizes = wrapped(name), []
    assert (model.traits.company is not None) == (name in ONE_BY_ONE)
    model.run("a")  # a network is tried before it is first read
    handle = model.hf.register_forward_pre_hook(
        lambda _module, _args, kwargs: sizes.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    try:
        model.run_many(TEXTS)
    finally:
        handle.remove()
    assert sizes == ([1, 1, 1] if name in ONE_BY_ONE else [3])


@pytest.mark.filterwarnings("ignore")  # torch's own, on quantisation
def test_quantised_activations_are_those_of_the_text_alone():
    """Dynamic quantisation scales a whole batch by its largest number."""
    hf, words = odd("xlm")
    bert = ls.wrap(torch.ao.quantization.quantize_dynamic(hf, {torch.nn.Linear}, torch.qint8), words, "int8")
    alone = [bert.run(text).hidden_states for text in TEXTS]
    for one, trace in zip(alone, bert.run_many(TEXTS), strict=True):
        np.testing.assert_array_equal(one, trace.hidden_states)
    assert bert.kind == "encoder"


LIMITS = {"prophetnet": 63, "llava": 128, "paligemma": 128}  # 128 is the tokenizer's own limit
_64 = ("longformer", "led", "mobilebert", "convbert", "nystromformer", "yoso")
WINDOWS = dict.fromkeys((*_64, "xlm", "mra", "ibert", "mpt", "bert2bert", "clip"), 64)


@pytest.mark.parametrize(("name", "window"), sorted((LIMITS | WINDOWS).items()))
def test_as_many_tokens_are_read_as_there_are_positions(name, window, wrapped):
    model = wrapped(name)
    assert model.context_window == window
    text = "the old man told me a story " * 30
    trace = model.run(text)
    assert len(trace.windows) > 1
    assert np.isfinite(trace.hidden_states).all()


def test_a_decoder_has_a_limit_of_its_own(wrapped):
    model = wrapped("led")
    assert (model.context_window, model.target_window) == (64, 32)
    with pytest.raises(
        InputError, match=r"The target has \d+ tokens.*context window 32\. Shorten it, or give long='cut'\."
    ):
        model.run("Hi", target="word " * 40)
    assert len(model.run("Hi", target="word " * 40, long="cut").target) == 32


def test_a_padding_token_in_a_text_is_a_token(wrapped):
    for name in ("xlm", "flaubert"):
        model, text = wrapped(name), "the old [PAD] man"
        theirs = states_of(plain(model, text, output_hidden_states=True))
        assert close(model.run(text).hidden_states, theirs)
        assert close(
            model.run_many([text, "the man was old and cold, and he slept"])[0].hidden_states, theirs
        )


def test_a_padding_token_that_has_no_row_is_never_run(tmp_path):
    from transformers import AutoTokenizer

    folder = build("llama", tmp_path)
    words = AutoTokenizer.from_pretrained(folder)
    words.add_special_tokens({"pad_token": "[PAD]"})
    words.add_tokens(["<new>"])
    words.save_pretrained(folder)
    model = ls.load(folder, device="cpu")
    for trace, text in zip(model.run_many(TEXTS), TEXTS, strict=True):
        assert close(trace.hidden_states, model.run(text).hidden_states)
    assert ls.verify(model, TEXTS).passed
    with pytest.raises(
        InputError,
        match=r"The token '<new>' has the id \d+, and the embedding matrix of .* has the rows 0 to",
    ):
        model.run("a <new> word")
    features = ls.extract(model, ["a", "a <new> word", "b"], tmp_path / "out", ["mean@-1"])
    assert features.num_errors == 1
    assert "embedding matrix" in features.to_pandas()["error"][1]


def test_what_a_network_raises_is_a_sentence(wrapped):
    model = ls.wrap(*odd("mpt"), "mpt")
    model.run("a")

    def fail(*_):
        raise KeyError("inside")

    model.hf.transformer.blocks[1].register_forward_pre_hook(fail)
    for call in (
        lambda: model.run("a b"),
        lambda: ls.verify(model, ["a b"]),
        lambda: ls.similarity(model, ["a", "b"]),
    ):
        with pytest.raises(
            ModelError, match=r"MptForCausalLM raised KeyError when it was run on input_ids \[\d, \d\]"
        ):
            call()


def test_a_network_that_draws_random_numbers_is_refused():
    hf, words = odd("mpt")
    hf.transformer.blocks[0].register_forward_hook(
        lambda _m, _a, out: (out[0] + torch.rand_like(out[0]), *out[1:])
    )
    with pytest.raises(ModelError, match="gives other numbers for the same text a second time"):
        ls.wrap(hf, words, "random").run("a")


def test_each_part_keeps_its_way_to_compute_attention():
    hf, words = odd("llava")
    hf.set_attn_implementation({"text_config": "sdpa", "vision_config": "eager"})
    before = [
        getattr(one.config, "_attn_implementation", None) for one in hf.modules() if hasattr(one, "config")
    ]
    ls.wrap(hf, words, "parts").run("a b", attention=True)
    after = [
        getattr(one.config, "_attn_implementation", None) for one in hf.modules() if hasattr(one, "config")
    ]
    assert after == before
    assert "eager" in before
