"""Every head that transformers puts on a family gives, through a run, what plain transformers gives."""

import inspect

import numpy as np
import pytest
import torch
import transformers

import layerscope as ls
import tiny
from layerscope.analysis.look import look
from layerscope.errors import ModelError, NewHeadWarning
from layerscope.loading.heads import TASKS
from layerscope.network.windows import windows

TEXTS = [
    "My mother's ghost.",
    "Then I tried to find some way.",
    "a",
    "The bank of the river was steep that night.",
]
LABELS = {0: "O", 1: "PER", 2: "LOC"}

HEADS = [
    (task, family)
    for task, families in {
        "text-classification": ["bert", "llama", "gpt2", "t5", "bart", "distilbert", "roberta", "deberta-v2"],
        "token-classification": ["bert", "llama", "gpt2", "distilbert", "electra", "modernbert"],
        "question-answering": ["bert", "llama", "gpt2", "bart", "distilbert", "albert"],
        "next-sentence-prediction": ["bert"],
        "multiple-choice": ["bert", "distilbert"],
        "fill-mask": ["bert", "modernbert", "xlm-roberta"],
        "text-generation": ["llama", "gpt2", "bloom"],
    }.items()
    for family in families
]


@pytest.fixture
def headed(tmp_path):
    """A model with a trained head for a task, and the same loaded by transformers alone."""

    def make(task, family):
        body = tiny.build(family, tmp_path / "body")
        auto = getattr(transformers, TASKS[task])
        with tiny.quiet():
            torch.manual_seed(0)
            names = {"id2label": LABELS, "label2id": {name: id for id, name in LABELS.items()}}
            network = auto.from_pretrained(body, **(names if "classification" in task else {}))
            network.save_pretrained(tmp_path / "headed")
            transformers.AutoTokenizer.from_pretrained(body).save_pretrained(tmp_path / "headed")
            plain = auto.from_pretrained(tmp_path / "headed").eval()
        return ls.load(tmp_path / "headed", task=task, device="cpu"), plain

    return make


def plainly(plain, tokenizer, *texts):
    with torch.no_grad():
        inputs = tokenizer(*texts, return_tensors="pt")
        names = inspect.signature(plain.forward).parameters
        return plain(**{name: one for name, one in inputs.items() if name in names})


@pytest.mark.parametrize(("task", "family"), HEADS)
def test_a_run_brings_back_what_the_head_gives(task, family, headed):
    model, plain = headed(task, family)
    assert [head.kind for head in model.heads] == [task]
    assert not model.heads[0].is_untrained
    assert model.describe().heads[0].startswith(task)
    if task == "multiple-choice":
        with pytest.raises(ModelError, match="reads several texts together, and a run is of one"):
            model.run("a")
        return
    for text, trace in zip(TEXTS, model.run_many(TEXTS, logits=True), strict=True):
        theirs = plainly(plain, model.tokenizer, text)
        assert trace.heads == model.heads
        for name in model.heads[0].axes:
            expected = theirs["logits" if name == "next_sentence_logits" else name][0].numpy()
            scale = max(1.0, float(np.abs(expected).max()))
            np.testing.assert_allclose(trace.outputs[name], expected, rtol=0, atol=1e-5 * scale)
            np.testing.assert_allclose(
                getattr(trace, name), model.run(text, logits=True).outputs[name], atol=1e-5
            )
    found = ls.verify(model, TEXTS)
    assert found.passed
    assert model.heads[0].axes.keys() <= {one.output for one in found.differences}


def test_labels_go_with_the_trace(headed):
    model, _ = headed("token-classification", "bert")
    trace = model.run(TEXTS[1], logits=True)
    assert trace.labels == ("O", "PER", "LOC")
    assert trace.logits.shape == (len(trace.tokens), 3)
    assert model.describe().heads == ("token-classification (O, PER, LOC)",)
    assert model.run(TEXTS[1]).labels == ()
    seen = look(model, TEXTS[1], k=2)
    assert [one.token for one in seen.predictions] == list(
        np.array(trace.tokens.strings)[~trace.tokens.special_mask]
    )
    best = trace.logits[seen.predictions[0].position].argmax()
    assert seen.predictions[0].candidates[0][0] == trace.labels[best]


def test_a_pair_and_both_heads_of_pretraining(tiny):
    model = tiny("bert")
    assert [head.kind for head in model.heads] == ["fill-mask", "next-sentence-prediction"]
    trace = model.run(TEXTS[0], TEXTS[1], logits=True)
    theirs = plainly(model.hf, model.tokenizer, TEXTS[0], TEXTS[1])
    np.testing.assert_allclose(trace.logits, theirs.prediction_logits[0], atol=1e-5)
    np.testing.assert_allclose(trace.next_sentence_logits, theirs.seq_relationship_logits[0], atol=1e-5)
    assert trace.labels == ("follows", "random")
    assert "next_sentence_logits" in {one.output for one in ls.verify(model, TEXTS).differences}


def test_a_text_in_windows_has_labels_of_tokens_and_none_of_the_whole(headed):
    text = " ".join(TEXTS * 8)
    model, plain = headed("token-classification", "bert")
    trace = model.run(text, logits=True)
    assert len(trace.windows) > 1
    assert trace.logits.shape == (len(trace.tokens), 3)
    for window in windows(trace.tokens, model.context_window, causal=False):
        with torch.no_grad():
            theirs = plain(torch.from_numpy(trace.tokens.ids[window.positions])[None]).logits[0].numpy()
        owned = window.positions[window.owned]
        np.testing.assert_allclose(trace.logits[owned], theirs[window.owned], atol=1e-5)


def test_the_class_of_a_text_in_windows_is_refused_with_the_reason(headed):
    model, _ = headed("text-classification", "bert")
    trace = model.run(" ".join(TEXTS * 8), logits=True)
    with pytest.raises(ModelError, match=r"passed in \d+ overlapping windows, each with logits of its own"):
        _ = trace.logits
    with pytest.raises(ModelError, match="gives no start_logits: its head is for text-classification"):
        _ = trace.start_logits
    with pytest.raises(ModelError, match="run with logits=True"):
        _ = model.run("a").logits


def test_a_new_head_is_refused_and_a_bare_network_has_none(tiny_folder, model):
    with pytest.warns(NewHeadWarning):
        new = ls.load(tiny_folder("bert"), task="text-classification", device="cpu")
    assert new.heads[0].is_untrained
    with pytest.raises(ModelError, match="is not in the checkpoint: its logits would be noise"):
        new.run("a", logits=True)
    assert model.heads == ()
    with pytest.raises(ModelError, match="has no language-model head, nor another, so it gives no logits"):
        model.run("a", logits=True)
