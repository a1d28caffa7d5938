import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import layerscope as ls
from layerscope.errors import InputError, ModelError
from layerscope.reduce.pooling import POOLINGS, pool, pooling_names

STATES = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=st.floats(-100, 100, width=32)
)


@given(STATES)
def test_identities(states):
    count = len(states)
    mean = pool("mean", states, None)
    np.testing.assert_allclose(pool("mean_sqrt", states, None), mean * np.sqrt(count), rtol=1e-3, atol=1e-3)
    assert (pool("max", states, None) >= mean - 1e-3).all()
    np.testing.assert_array_equal(pool("last", states, None), states[-1])
    same = np.repeat(states[:1], count, axis=0)
    for name in ("mean", "max", "last", "weighted_mean"):
        np.testing.assert_allclose(pool(name, same, None), states[0], rtol=1e-4, atol=1e-4)


def test_weighted_counts_later_tokens_more():
    states = np.array([[1.0], [2.0], [6.0]], dtype=np.float32)
    assert pool("weighted_mean", states, None) == pytest.approx((1 * 1 + 2 * 2 + 3 * 6) / 6)


def test_cls_is_the_token_that_the_template_put_in(model):
    trace = model.run("Seeing is believing.")
    np.testing.assert_array_equal(trace.pool("cls"), trace.hidden_states[-1, 0])


def test_cls_never_means_first(tiny):
    for family in ("gpt2", "llama", "t5"):
        trace = tiny(family).run("Seeing is believing.")
        with pytest.raises(ModelError, match="needs a classification token"):
            trace.pool("cls")


def test_mean_is_that_of_sentence_transformers(model):
    from sentence_transformers import SentenceTransformer

    texts = ["Seeing is believing.", "A crane stood on one leg in the shallow water, and nobody saw it."]
    theirs = SentenceTransformer(str(model.source.folder), device="cpu").encode(
        texts, normalize_embeddings=False
    )
    for text, their in zip(texts, theirs, strict=True):
        own = model.run(text).pool("mean")
        np.testing.assert_allclose(own / np.linalg.norm(own), their / np.linalg.norm(their), atol=1e-5)


def test_ones_own_pooling_joins_in_one_line(model):
    @ls.pooling("first_two")
    def first_two(states, tokens):
        return states[:2].mean(axis=0)

    try:
        trace = model.run("Seeing is believing.")
        np.testing.assert_allclose(trace.feature("first_two@3"), trace.hidden_states[3, :2].mean(axis=0))
        with pytest.raises(InputError, match="taken"):
            ls.pooling("first_two")
    finally:
        del POOLINGS["first_two"]


@pytest.mark.parametrize("name", ["mean", "pooler", "tokens", "a b", "a@b", ""])
def test_a_name_that_is_taken_or_no_word_is_refused(name):
    with pytest.raises(InputError, match="new plain word"):
        ls.pooling(name)


def test_an_unknown_pooling_lists_the_known_ones(model):
    with pytest.raises(InputError, match="'maen'; known: mean, max, cls.*Did you mean 'mean'"):
        model.run("x").pool("maen")
    assert pooling_names()[-1] == "pooler"


def test_nothing_to_pool(tiny):
    trace = tiny("gpt2").run("")
    assert trace.hidden_states.shape == (4, 0, 32)
    with pytest.raises(InputError, match="no token to pool"):
        trace.pool("mean")
