import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from layerscope.reduce.cosine import cosine, cosine_of_pairs, unit_length


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_scikit_learn_says_the_same(rows, columns, seed):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(rows, 7)), random.normal(size=(columns, 7))
    np.testing.assert_allclose(cosine(a, b), cosine_similarity(a, b), atol=1e-12)
    np.testing.assert_allclose(cosine_of_pairs(a[:, None], b[None]), cosine(a, b), atol=1e-12)


def test_zeros_have_none_and_nothing_is_more_than_one():
    assert np.isnan(cosine(np.zeros((1, 3)), np.ones((1, 3)))).all()
    vectors = np.full((1, 3), 0.1, dtype=np.float32)
    assert cosine(vectors, vectors) <= 1
    np.testing.assert_allclose(np.linalg.norm(unit_length(np.ones((2, 4, 3))), axis=-1), 1)
