"""The logit lens against the same by hand: each layer's state through the norm and the head of plain transformers."""

from dataclasses import replace
from weakref import ref

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax
from scipy.stats import entropy
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import XLMConfig, XLMWithLMHeadModel

import layerscope as ls
import tiny_tokenizers
from layerscope.errors import InputError, ModelError
from tiny import build, quiet

TEXT, TARGET = "Then I tried to find some way of embracing.", "My mother's ghost."

# What stands between a state and the logits, written down for these families by hand.
BY_HAND = {
    "gpt2": lambda hf, state: hf.lm_head(hf.transformer.ln_f(state)),
    "llama": lambda hf, state: hf.lm_head(hf.model.norm(state)),
    "bloom": lambda hf, state: hf.lm_head(hf.transformer.ln_f(state)),
    "opt": lambda hf, state: hf.lm_head(hf.model.decoder.final_layer_norm(state)),
    "bert": lambda hf, state: hf.cls.predictions(state),
    "electra": lambda hf, state: hf.generator_lm_head(hf.generator_predictions(state)),
    "albert": lambda hf, state: hf.predictions(state),
    "modernbert": lambda hf, state: hf.decoder(hf.head(hf.model.final_norm(state))),
    "t5": lambda hf, state: hf.lm_head(hf.decoder.final_layer_norm(state) * hf.config.d_model**-0.5),
    "bart": lambda hf, state: hf.lm_head(state) + hf.final_logits_bias,
}


def target_of(model):
    return TARGET if model.kind == "encoder-decoder" else None


def logits_by_hand(model, family, trace):
    """[layer, position, vocabulary]; the last layer's are the model's own."""
    states = trace.hidden_states if trace.target is None else trace.decoder_hidden_states
    with torch.no_grad():
        below = BY_HAND[family](model.hf, torch.from_numpy(states[:-1])).numpy()
    return np.concatenate([below, trace.logits[None]])


@pytest.mark.parametrize("family", BY_HAND)
def test_every_number_equals_the_same_by_hand(family, tiny):
    model = tiny(family)
    trace = model.run(TEXT, target=target_of(model), logits=True)
    found = ls.lens(model, TEXT, target=target_of(model), k=4)
    logits = logits_by_hand(model, family, trace)
    p = softmax(logits.astype(np.float64), axis=-1)
    order = np.argsort(-logits, axis=-1, kind="stable")[:, :, :4]
    np.testing.assert_array_equal(found.top_ids, order)
    close = {"rtol": 1e-4, "atol": 1e-6}
    np.testing.assert_allclose(found.top_probabilities, np.take_along_axis(p, order, axis=-1), **close)
    np.testing.assert_allclose(found.entropy, entropy(p, axis=-1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.divergence, rel_entr(p[-1], p).sum(-1), rtol=1e-3, atol=1e-5)
    assert (found.divergence[-1] == 0).all()
    assert found.difference <= 1e-5 * max(1, np.abs(logits[-1]).max())
    answers = logits[-1].argmax(-1)
    np.testing.assert_array_equal(found.answer_ids, answers)
    for kind, ids in (("answer", answers), ("actual", found.actual_ids)):
        ranks, probabilities = getattr(found, f"{kind}_ranks"), getattr(found, f"{kind}_probabilities")
        for position, id in enumerate(ids):
            if id < 0:
                assert (ranks[:, position] == -1).all()
                assert np.isnan(probabilities[:, position]).all()
                continue
            own = logits[:, position, id]
            np.testing.assert_array_equal(
                ranks[:, position], 1 + (logits[:, position] > own[:, None]).sum(-1)
            )
            np.testing.assert_allclose(probabilities[:, position], p[:, position, id], **close)


def test_every_family_ends_in_its_own_predictions(family, tiny):
    model = tiny(family)
    trace = model.run(TEXT, target=target_of(model), logits=True)
    found = ls.lens(model, TEXT, target=target_of(model), k=3)
    assert found.difference <= 1e-5 * max(1, np.abs(trace.logits).max())
    np.testing.assert_array_equal(found.answer_ids, trace.logits.argmax(-1))
    best = np.exp(log_softmax(trace.logits, axis=-1)).max(-1)
    np.testing.assert_allclose(found.answer_probabilities[-1], best, rtol=1e-4)
    assert (found.answer_ranks[-1] == 1).all()
    assert len(found.entropy) == 4
    assert not np.array_equal(found.entropy[0], found.entropy[1])
    read = trace.tokens if trace.target is None else trace.target
    assert found.tokens.ids.tolist() == read.ids.tolist()


def test_the_real_decoder_finds_paris_late(decoder):
    found = ls.lens(decoder, "The capital of France is", k=3)
    assert decoder.decode(found.answer_ids[-1]) == " Paris"
    assert found.grid().loc[30, 4] == " Paris"
    assert found.settled[-1] > 20
    assert found.answer_ranks[0, -1] > 100
    assert found.answer_probabilities[-1, -1] > 0.5
    assert found.difference < 1e-3


def test_from_which_layer_on_it_stays(tiny):
    found = ls.lens(tiny("gpt2"), TEXT, k=1)
    top = np.array([[7, 1, 3, 4], [5, 1, 9, 4], [7, 1, 3, 2], [7, 1, 3, 5]])
    made = replace(found, top_ids=top[:, :, None])
    assert made.settled.tolist() == [2, 0, 2, 3]


@pytest.mark.parametrize("family", ["gpt2", "bert", "t5"])
def test_the_actual_tokens(family, tiny):
    model = tiny(family)
    if family == "bert":
        found = ls.lens(model, "Then I [MASK] to find", k=1)
        expected = [-1 if id == model.tokenizer.mask_token_id else id for id in found.tokens.ids]
        assert expected.count(-1) == 1
    elif family == "gpt2":
        found = ls.lens(model, TEXT, k=1)
        expected = [*model.tokenizer(TEXT).input_ids[1:], -1]
    else:
        # The decoder's position t is to say target token t, the end of the sentence included.
        found = ls.lens(model, TEXT, target=TARGET, k=1)
        expected = model.tokenizer(text_target=TARGET).input_ids
        assert expected[-1] == model.tokenizer.eos_token_id
    assert found.actual_ids.tolist() == expected


def test_a_text_in_windows(tiny):
    model = tiny("gpt2")
    text = " ".join([TEXT, TARGET, "The bank of the river was steep."] * 5)
    trace = model.run(text, logits=True)
    assert len(trace.windows) > 2
    found = ls.lens(model, text, k=3)
    assert found.difference < 1e-4
    logits = logits_by_hand(model, "gpt2", trace)
    np.testing.assert_array_equal(found.top_ids, np.argsort(-logits, axis=-1, kind="stable")[:, :, :3])
    p = softmax(logits.astype(np.float64), axis=-1)
    np.testing.assert_allclose(found.divergence, rel_entr(p[-1], p).sum(-1), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("text", ["a", "a ghost", "Hi 🙂 我去银行"])
def test_short_texts_batches_and_pairs(text, tiny):
    for family in ("llama", "bert"):
        model = tiny(family)
        together = model.tokenize(text)
        one, other = ls.lens(model, together, k=2), ls.lens(model, text, k=2)
        np.testing.assert_allclose(one.entropy, other.entropy, atol=1e-4)
        assert ls.lens(model, text, TEXT, k=1).entropy.shape[1] > len(one.tokens)


def test_half_precision(tiny_folder):
    model = ls.load(tiny_folder("llama"), device="cpu", dtype="bfloat16")
    found = ls.lens(model, TEXT, k=3)
    assert found.top_probabilities.dtype == np.float32
    assert np.isfinite(found.entropy).all()


class LargestLogits(TorchDispatchMode):
    """The most bytes of tensors over the vocabulary, the output matrix left out, that were alive at once."""

    def __init__(self, matrix):
        super().__init__()
        self.matrix, self.alive, self.most = matrix, [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        if isinstance(output, torch.Tensor) and output.ndim > 1 and output.shape[-1] == len(self.matrix):
            self.alive.append(ref(output))
        there = [one for one in (known() for known in self.alive) if one is not None]
        self.alive = [ref(one) for one in there]
        storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in there}
        storages.pop(self.matrix.untyped_storage().data_ptr(), None)
        self.most = max(self.most, sum(storages.values()))
        return output


def test_no_more_than_one_layers_logits_at_a_time(tiny, monkeypatch):
    import layerscope.analysis.lens as module

    model = tiny("llama")
    matrix = model.hf.lm_head.weight
    tokens = model.tokenize(" ".join([TEXT] * 4)).keep(np.arange(60))
    one_layer = 60 * len(matrix) * 4
    own, reading = module.read, LargestLogits(matrix)

    def measured(*args):
        with reading:
            return own(*args)

    monkeypatch.setattr(module, "read", measured)
    with LargestLogits(matrix) as whole:
        ls.lens(model, tokens, k=2)
    assert 0 < reading.most <= one_layer * 1.1
    # Before, for the proof, the model's own logits, which are one layer's, and beside them a chunk of ours.
    assert one_layer <= whole.most <= one_layer * 1.3


def test_tables(tiny):
    model = tiny("gpt2")
    found = ls.lens(model, TEXT, k=4)
    strings = found.tokens.vocabulary.strings
    grid, table = found.grid(), found.table()
    positions = len(found.tokens)
    assert grid.shape == (4, positions)
    assert len(table) == 4 * positions
    row = table.query("layer == 2 and position == 5").iloc[0]
    assert row.top == grid.loc[2, 5] == strings(found.top_ids[2, 5, :1])[0]
    assert row.token == found.tokens.strings[5]
    assert row.probability == found.top_probabilities[2, 5, 0]
    for name, array in {
        "answer_rank": found.answer_ranks,
        "answer_probability": found.answer_probabilities,
        "actual_rank": found.actual_ranks,
        "actual_probability": found.actual_probabilities,
        "entropy": found.entropy,
        "divergence": found.divergence,
    }.items():
        assert row[name] == array[2, 5], name
    last = found.table(-1)
    assert last.position.tolist() == [positions - 1] * 4
    assert last.layer.tolist() == [0, 1, 2, 3]
    candidates = found.candidates(5).query("layer == 3")
    assert candidates.token.tolist() == list(strings(found.top_ids[3, 5]))
    assert candidates.probability.is_monotonic_decreasing
    answers = found.answers()
    assert answers.answer.tolist() == list(strings(found.answer_ids))
    assert answers.actual.isna().tolist() == [False] * (positions - 1) + [True]
    plain = found.to_dict()
    assert plain["top"][3][5] == list(strings(found.top_ids[3, 5]))
    assert np.shape(plain["divergence"]) == (4, positions)
    assert plain["positions"][5]["settled"] == found.settled[5]
    with pytest.raises(
        InputError, match=f"Position {positions} is not there: the text has {positions} tokens"
    ):
        found.candidates(positions)


def test_what_is_refused(model, tiny, tmp_path):
    with pytest.raises(ModelError, match="all-MiniLM-L6-v2 has no language-model head"):
        ls.lens(model, "a")
    gpt2, t5 = tiny("gpt2"), tiny("t5")
    with pytest.raises(InputError, match="model is a Model, as layerscope.load gives it; not a Trace"):
        ls.lens(gpt2.run("a"), "a")
    with pytest.raises(InputError, match="given nothing to read: give target="):
        ls.lens(t5, "a")
    with pytest.raises(InputError, match="no tokens"):
        ls.lens(gpt2, "")
    for k in (0, 10**6, 2.0, True):
        with pytest.raises(InputError, match="k is (how many tokens to keep, 1 to |a whole number)"):
            ls.lens(gpt2, "a", k=k)
    with quiet():
        headless = ls.load(build("bert", tmp_path, head=False), device="cpu")
    with pytest.raises(ModelError, match="no language-model head"):
        ls.lens(headless, "a")
    untrained = replace(tiny("bert"), untrained=frozenset({"cls.predictions.bias"}))
    with pytest.raises(ModelError, match="would be noise"):
        ls.lens(untrained, "a")


def test_a_model_that_is_never_the_same_is_refused(tiny_folder, monkeypatch):
    import layerscope.analysis.lens as module

    model = ls.load(tiny_folder("gpt2"), device="cpu")
    proven = module.proven

    def after_a_change(*args):
        with torch.no_grad():
            model.hf.transformer.h[1].mlp.c_proj.bias[3] += 0.5
        return proven(*args)

    monkeypatch.setattr(module, "proven", after_a_change)
    with pytest.raises(ModelError, match="computes other states each time that it is run"):
        ls.lens(model, TEXT)


def test_states_that_are_not_finite(tiny_folder):
    model = ls.load(tiny_folder("gpt2"), device="cpu")
    with torch.no_grad():
        model.hf.transformer.h[1].mlp.c_proj.bias[3] = torch.nan
    with pytest.raises(ModelError, match="Layer 2 of .* for this text"):
        ls.lens(model, TEXT)


def test_a_model_whose_last_block_is_not_all_is_refused():
    """XLM keeps attention, norms and feed-forward networks in lists of their own: there is no module of a block."""
    tokenizer = tiny_tokenizers.tokenizer("wordpiece")
    sizes = {"emb_dim": 32, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 64}
    with quiet():
        hf = XLMWithLMHeadModel(XLMConfig(n_words=len(tokenizer), pad_index=0, **sizes))
    model = ls.wrap(hf, tokenizer)
    # Of one token too, where what came before the last block would be the same for the text and for its chunk.
    for tokens in (model.tokenize(TEXT), model.tokenize(TEXT).keep(np.arange(1))):
        with pytest.raises(ModelError, match="The lens does not hold for XLMWithLMHeadModel"):
            ls.lens(model, tokens, k=1)
