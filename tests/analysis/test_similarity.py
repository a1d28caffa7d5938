import numpy as np
import pytest
import torch

import layerscope as ls
from layerscope.errors import InputError
from layerscope.reduce.cosine import cosine

A, B = "President greets the press in Chicago", "Obama speaks to media in Illinois"


def word_vectors_by_hand(model, text, layer):
    """The seed's way, with the pieces of a word averaged."""
    inputs = model.tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        states = model.hf(**inputs, output_hidden_states=True).hidden_states[layer][0]
    words = np.array([-1 if word is None else word for word in inputs.word_ids()])
    return torch.stack([states[words == number].mean(0) for number in range(words.max() + 1)])


@pytest.mark.parametrize("layer", [0, 3, -1])
def test_words_of_two_sentences_equal_the_double_loop(model, layer):
    table = ls.similarity(model, A, B, unit="word", layer=layer).table()
    firsts, seconds = word_vectors_by_hand(model, A, layer), word_vectors_by_hand(model, B, layer)
    for row, first in enumerate(firsts):
        for column, second in enumerate(seconds):
            assert table.iloc[row, column] == pytest.approx(
                torch.cosine_similarity(first, second, dim=0).item(), abs=1e-5
            )
    assert list(table.index) == A.split()
    assert list(table.columns) == B.split()


def test_texts_equal_scikit_learn(model):
    from sklearn.metrics.pairwise import cosine_similarity

    texts = ls.samples.texts("bank")
    table = ls.similarity(model, texts, pooling="max").table()
    pooled = np.stack([model.run(text).pool("max") for text in texts])
    np.testing.assert_allclose(table, cosine_similarity(pooled), atol=1e-5)
    assert list(table.index) == texts


def test_two_runs_are_enough(model):
    passes = []
    model.sites()
    handle = model.hf.register_forward_pre_hook(lambda *_: passes.append(1))
    try:
        ls.similarity(model, A, B, unit="word")
        ls.compare(model, A, B)
    finally:
        handle.remove()
    assert len(passes) <= 2 + 2


def test_tokens(model):
    table = ls.similarity(model, A, unit="token").table()
    assert table.index[0] == "[CLS]"
    np.testing.assert_allclose(np.diag(table), 1, atol=1e-5)


def test_a_vector_of_zeros_has_no_similarity():
    assert np.isnan(cosine(np.zeros((1, 3)), np.ones((1, 3)))).all()


def test_errors(model):
    with pytest.raises(InputError, match="known: text, word, token"):
        ls.similarity(model, A, unit="sentence")
    with pytest.raises(InputError, match="takes one text on each side; 2"):
        ls.similarity(model, [A, B], unit="word")
    with pytest.raises(InputError, match="empty"):
        ls.similarity(model, [])
    with pytest.raises(InputError, match="stands for a whole text"):
        ls.similarity(model, A, B, unit="word", pooling="cls")


def test_a_word_in_two_contexts(model):
    """The third seed's Python and python: one sense is closer to itself than to the other."""
    uses = {
        sense: ls.samples.table().query("word == 'python' and sense == @sense").text
        for sense in ("snake", "language")
    }
    vectors = {
        sense: np.stack([model.run(t).vector("python") for t in texts]) for sense, texts in uses.items()
    }
    within = cosine(vectors["snake"], vectors["snake"])[np.triu_indices(3, 1)].mean()
    assert within > cosine(vectors["snake"], vectors["language"]).mean() + 0.1
