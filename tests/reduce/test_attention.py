import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from layerscope.errors import InputError
from layerscope.reduce.attention import merge, one_head, units

TEXT = "Then I tried to find some way of embracing my mother's ghost."


@given(st.data())
def test_merging_keeps_rows_that_sum_to_one(data):
    queries, keys = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    raw = data.draw(hnp.arrays(np.float64, (2, queries, keys), elements=st.floats(0.01, 1)))
    attention = raw / raw.sum(-1, keepdims=True)

    def shares(count):
        groups = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
        return np.array(
            [[group == number for group in groups] for number in sorted(set(groups))], dtype=float
        )

    np.testing.assert_allclose(merge(attention, shares(queries), shares(keys)).sum(-1), 1)


def test_to_a_split_word_the_sum_and_from_it_the_mean(model):
    trace = model.run(TEXT, attention=True)
    tokens, words = trace.attention(6, 9).to_numpy(), trace.attention(6, 9, unit="word")
    pieces = trace.tokens.find("mother's").slice
    assert words.loc["ghost", "mother's"] == pytest.approx(tokens[14, pieces].sum(), abs=1e-6)
    assert words.loc["mother's", "ghost"] == pytest.approx(tokens[pieces, 14].mean(), abs=1e-6)
    assert list(words.index) == ["[CLS]", *(word.text for word in trace.tokens.words), "[SEP]"]


def test_the_strongest_head_of_a_word_is_taken_after_its_pieces_are_merged(model):
    trace = model.run(TEXT, attention=True)
    heads = np.stack([trace.attention(3, head, unit="word").to_numpy() for head in range(12)])
    np.testing.assert_allclose(trace.attention(3, "max", unit="word"), heads.max(0), atol=1e-6)
    np.testing.assert_allclose(trace.attention(3, unit="word"), heads.mean(0), atol=1e-6)


def test_a_token_of_several_words_is_shared_between_them(decoder):
    tokens = decoder.tokenize("Wait...")
    assert tokens.strings == ("Wait", "...")
    own = units(tokens, "word")
    assert own.labels == ("Wait", ".", ".", ".")
    np.testing.assert_allclose(own.shares.sum(axis=0), 1)
    np.testing.assert_allclose(own.shares[1:, 1], 1 / 3)


def test_errors(model):
    trace = model.run(TEXT, attention=True)
    with pytest.raises(InputError, match="heads 0 to 11"):
        trace.attention(1, 12)
    with pytest.raises(InputError, match="known: mean, max"):
        trace.attention(1, "median")
    with pytest.raises(InputError, match="known: token, word"):
        trace.attention(1, unit="letter")
    with pytest.raises(InputError, match="known: encoder, decoder, cross"):
        trace.attention(1, side="left")
    with pytest.raises(InputError, match="Layer 0 is the embedding output and has no attention"):
        trace.attention(0)
    np.testing.assert_array_equal(one_head(trace.attentions[0], -1), trace.attentions[0][11])
