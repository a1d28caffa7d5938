"""Running the bundled model and the real decoder; the families are in test_families.py."""

import copy
import pickle
import threading

import numpy as np
import pandas as pd
import pytest
import torch

import layerscope as ls
from layerscope.errors import InputError, ModelError

TEXT = "Then I tried to find some way of embracing my mother's ghost."


def plain(model, text, pair=None, **asked):
    with torch.no_grad():
        return model.hf(**model.tokenizer(text, pair, return_tensors="pt"), **asked)


def test_the_bundled_model_bit_for_bit(model):
    trace, theirs = model.run(TEXT), plain(model, TEXT, output_hidden_states=True)
    np.testing.assert_array_equal(trace.hidden_states, torch.stack(theirs.hidden_states)[:, 0].numpy())
    np.testing.assert_array_equal(trace.hidden_state(-1), theirs.last_hidden_state[0].numpy())
    np.testing.assert_array_equal(trace.pooler_output, theirs.pooler_output[0].numpy())
    assert trace.hidden_states.dtype == np.float32
    assert trace.windows == ((0, 17),)


def test_the_pooler_is_a_dense_layer_and_tanh_over_the_first_row(model):
    """The second seed: the pooler output is not the last state's first row, but that row put through a layer."""
    trace, pooler = model.run(TEXT), model.hf.pooler
    with torch.no_grad():
        by_hand = torch.tanh(pooler.dense(torch.from_numpy(trace.hidden_states[-1, 0])))
    np.testing.assert_allclose(trace.pooler_output, by_hand.numpy(), atol=1e-6)
    assert not np.allclose(trace.pooler_output, trace.hidden_states[-1, 0], atol=0.1)


def test_shapes_that_the_first_seed_prints(model):
    trace = model.run(TEXT, attention=True)
    assert trace.hidden_states.shape == (7, 17, 384)
    assert trace.attentions.shape == (6, 12, 17, 17)
    np.testing.assert_allclose(trace.attention().sum(axis=1), 1, atol=1e-5)


def test_order_of_the_texts_changes_nothing(model):
    texts = ls.samples.texts()[:20]
    forwards = model.run_many(texts, layers=-1, batch_tokens=64)
    backwards = model.run_many(texts[::-1], layers=-1)[::-1]
    for text, one, other in zip(texts, forwards, backwards, strict=True):
        assert one.tokens.text == other.tokens.text == text
        np.testing.assert_allclose(one.hidden_states, other.hidden_states, atol=1e-5)


def test_pairs_and_texts_can_be_mixed(model):
    traces = model.run_many(["What did I do then?", ("What did I do then?", TEXT), ""])
    assert [len(trace.tokens) for trace in traces] == [8, 24, 2]
    theirs = plain(model, "What did I do then?", TEXT, output_hidden_states=True)
    np.testing.assert_allclose(
        traces[1].hidden_states, torch.stack(theirs.hidden_states)[:, 0].numpy(), atol=1e-5
    )
    assert model.run_many([]) == []


def test_tokens_with_words_of_ones_own(model, tiny):
    """An annotated corpus has its own words: a vector for each."""
    words = ["I", "ca", "n't", "go", "to", "New York", "."]
    trace = model.run(model.tokenize("I can't go to New York.", words=words))
    assert trace.word_vectors().shape == (7, 384)
    plain = model.run("I can't go to New York.")
    np.testing.assert_array_equal(trace.hidden_states, plain.hidden_states)
    np.testing.assert_allclose(trace.vector("New York"), plain.vector("New York"))
    assert list(trace.tokens.table()["word"].dropna())[-2:] == ["New York", "."]
    with pytest.raises(InputError, match="tokenised for another model"):
        tiny("bert").run(model.tokenize("a"))
    with pytest.raises(InputError, match="give the pair to tokenize"):
        model.run(model.tokenize("a"), "b")


def test_what_is_no_text_is_named(model):
    with pytest.raises(InputError, match=r"Text 1 is int 5"):
        model.run_many(["a", 5])
    with pytest.raises(InputError, match="for one text use run"):
        model.run_many("abc")
    with pytest.raises(InputError, match="is NoneType"):
        model.run(None)


def test_only_what_was_kept_is_there(model):
    trace = model.run(TEXT, layers=[2, 4], attention=True)
    assert trace.hidden_states.shape[0] == trace.attentions.shape[0] == 2
    assert trace.attention(4).shape == (17, 17)
    np.testing.assert_allclose(trace.attention(4, 3), trace.attentions[1, 3])
    for ask in (lambda: trace.hidden_state(3), lambda: trace.attention(3), lambda: trace.pool("mean")):
        with pytest.raises(InputError, match=r"was not kept; this trace holds 2, 4. Run with layers=\["):
            ask()
    with pytest.raises(ModelError, match="attention=True"):
        _ = model.run(TEXT).attentions
    with pytest.raises(ModelError, match="no language-model head"):
        model.run(TEXT, logits=True)


def test_attention_over_the_embeddings_alone_is_refused_when_asked_for(model):
    trace = model.run(TEXT, layers=0, attention=True)
    with pytest.raises(InputError, match="Layer 0"):
        trace.attention(0)


def test_threads_share_a_model(model):
    texts = ls.samples.texts()[:12]
    expected = [model.run(text, attention=True).attentions for text in texts]
    found = [None] * len(texts)

    def work(start):
        for number in range(start, len(texts), 4):
            found[number] = model.run(
                texts[number], layers="all" if number % 2 else 3, attention=True
            ).attentions

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, attentions in enumerate(found):
        np.testing.assert_allclose(
            attentions, expected[number] if number % 2 else expected[number][2:3], atol=1e-5
        )


def test_gradients_are_there_for_who_calls_the_plain_model(tiny_folder):
    """The second seed: outside no_grad the outputs of a plain model carry gradients; running it takes none away."""
    from transformers import AutoModel, AutoTokenizer

    hf, tokenizer = (
        AutoModel.from_pretrained(tiny_folder("bert")),
        AutoTokenizer.from_pretrained(tiny_folder("bert")),
    )
    ls.wrap(hf, tokenizer).run(TEXT, attention=True)
    output = hf(**tokenizer(TEXT, return_tensors="pt"))
    assert output.last_hidden_state.grad_fn is not None
    assert output.pooler_output.grad_fn is not None


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_empty_text(tiny, family):
    trace = tiny(family).run("", attention=True, logits=True)
    count = len(trace.tokens)
    assert count == (0 if family == "gpt2" else 1)
    assert trace.hidden_states.shape == (4, count, 32)
    assert trace.attentions.shape == (3, 4, count, count)
    assert trace.logits.shape[0] == count


def test_white_space_only(model):
    assert model.run(" \t\n").hidden_states.shape == (7, 2, 384)


def test_half_precision_comes_out_as_float32(tiny_folder):
    model = ls.load(tiny_folder("bert"), dtype="bfloat16", device="cpu")
    exact = ls.load(tiny_folder("bert"), device="cpu").run(TEXT).hidden_states
    trace = model.run(TEXT)
    assert trace.hidden_states.dtype == np.float32
    np.testing.assert_allclose(trace.hidden_states, exact, atol=0.2)
    assert np.abs(trace.hidden_states - exact).max() > 0


def test_the_real_decoder(decoder):
    trace = decoder.run("The capital of France is", attention=True, logits=True)
    assert trace.hidden_states.shape == (31, 5, 576)
    assert trace.attentions.shape == (30, 9, 5, 5)
    assert decoder.vocabulary.strings([trace.logits[-1].argmax()]) == (" Paris",)
    assert np.triu(trace.attentions, k=1).max() == 0  # no token sees the next one
    theirs = plain(decoder, "The capital of France is", output_hidden_states=True)
    expected = torch.stack(theirs.hidden_states)[:, 0].numpy()
    np.testing.assert_allclose(decoder.run("The capital of France is").hidden_states, expected, atol=1e-4)
    np.testing.assert_allclose(trace.logits, theirs.logits[0].numpy(), atol=1e-3)


def test_results_can_be_changed_without_harm(model):
    trace = model.run(TEXT)
    before = trace.hidden_states.copy()
    for vector in (
        trace.pool("cls"),
        trace.pool("last"),
        trace.vector("ghost", pooling="last"),
        trace.hidden_state(3),
    ):
        vector /= 2
    np.testing.assert_array_equal(trace.hidden_states, before)


def test_a_model_can_be_copied(tiny_folder):
    model = ls.load(tiny_folder("bert"), device="cpu")
    expected = model.run(TEXT).hidden_states
    other = copy.deepcopy(model)
    assert other.hf is not model.hf
    np.testing.assert_array_equal(other.run(TEXT).hidden_states, expected)


@pytest.mark.parametrize("given", [None, 5, b"ab", {"a": 1}, pd.DataFrame({"text": ["a"]})])
def test_what_holds_no_texts_is_named(model, given):
    asked = [lambda: model.run_many(given), lambda: ls.similarity(model, given)]
    if given is not None:
        asked.append(lambda: ls.verify(model, given))
    for ask in asked:
        with pytest.raises(InputError, match="is to be a list of texts, not"):
            ask()


def test_texts_in_any_holder(model, tiny):
    texts = ["a b", "c"]
    for given in (tuple(texts), pd.Series(texts), np.array(texts), (text for text in texts)):
        assert [trace.tokens.text for trace in model.run_many(given)] == texts
    traces = tiny("t5").run_many(texts, targets=(text for text in texts))
    assert traces[1].target is not None
    with pytest.raises(InputError, match="targets is to be a list"):
        tiny("t5").run_many(["a", "b"], targets="xy")
    with pytest.raises(InputError, match="target is text; not"):
        tiny("t5").run("a", target=["x"])


def test_more_mistakes(model):
    trace = model.run("a b", attention=True, layers=[6])
    for ask in (
        lambda: trace.attention(head=None),
        lambda: trace.attention(head=True),
        lambda: trace.attention(head=1.5),
        lambda: trace.pool(["mean"]),
        lambda: trace.feature(5),
        lambda: model.run_many(["a"], batch_tokens=0),
        lambda: model.decode("abc"),
        lambda: model.decode(-1),
        lambda: model.decode(10**7),
        lambda: ls.similarity(model, [("a", "b")]),
    ):
        with pytest.raises(InputError):
            ask()
    assert model.decode(np.int64(5745)) == "ghost"
    with pytest.raises(ModelError, match="reads the last layer, 6, which was not kept"):
        _ = model.run("a", layers=[0]).pooler_output
    assert ls.similarity(model, [model.tokenize("a b"), "c"]).rows == ("a b", "c")


def test_a_trace_is_pickled_whole_and_without_the_weights(tiny):
    model = tiny("gpt2")
    trace = model.run("Then I tried to find some way.", attention=True, logits=True)
    written = pickle.dumps(trace)
    assert len(written) < sum(one.nbytes for one in model.hf.parameters())
    again = pickle.loads(written)
    for name, values in trace.outputs.items():
        np.testing.assert_array_equal(again.outputs[name], values)
    assert again.tokens.strings == trace.tokens.strings
