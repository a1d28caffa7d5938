import numpy as np
import pytest
from sklearn.metrics import silhouette_samples, silhouette_score
from sklearn.metrics.pairwise import cosine_similarity

from layerscope.errors import InputError
from layerscope.reduce import separation as module
from layerscope.reduce.separation import separation, spread

DRAW = np.random.default_rng(3)
CODES = np.array([0, 1, 1, 2, 0, 1, 2, 0, 3, 1])
VECTORS = DRAW.normal(size=(len(CODES), 12)) + DRAW.normal(size=(4, 12))[CODES]


def accuracy_by_hand(vectors, codes):
    hits = 0
    for number, vector in enumerate(vectors):
        cosines = [
            vector @ other / np.linalg.norm(vector) / np.linalg.norm(other) if at != number else -2
            for at, other in enumerate(vectors)
        ]
        hits += codes[int(np.argmax(cosines))] == codes[number]
    return hits / len(vectors)


@pytest.mark.parametrize("chunk", [3, 512])
def test_it_is_what_scikit_learn_and_a_loop_say(chunk, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", chunk)
    found = separation(VECTORS, CODES)
    assert found["silhouette"] == pytest.approx(silhouette_score(VECTORS, CODES, metric="cosine"))
    assert found["accuracy"] == pytest.approx(accuracy_by_hand(VECTORS, CODES))
    cosines = cosine_similarity(VECTORS)
    pairs = [(a, b) for a in range(len(CODES)) for b in range(a)]
    for name, is_same in (("within", True), ("between", False)):
        chosen = [cosines[a, b] for a, b in pairs if (CODES[a] == CODES[b]) == is_same]
        assert found[name] == pytest.approx(np.mean(chosen))


@pytest.mark.parametrize("chunk", [4, 512])
def test_spread(chunk, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", chunk)
    cosines = cosine_similarity(VECTORS)[np.triu_indices(len(VECTORS), 1)]
    found = spread(VECTORS.astype(np.float32))
    assert found == pytest.approx(
        {"mean": cosines.mean(), "min": cosines.min(), "max": cosines.max()}, abs=1e-6
    )


def test_the_only_one_of_a_label_counts_as_nothing():
    """As in scikit-learn: 0 for the silhouette; and its nearest is never of its label."""
    alone = int(np.flatnonzero(CODES == 3)[0])
    assert silhouette_samples(VECTORS, CODES, metric="cosine")[alone] == 0
    near = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.0]])
    assert separation(near, np.array([0, 0, 1]))["accuracy"] <= 2 / 3


def test_the_order_changes_nothing_even_where_all_are_equal():
    same = np.tile(DRAW.normal(size=24), (6, 1)) * np.arange(1, 7)[:, None]
    same *= 1 + DRAW.normal(size=same.shape) * 1e-8  # what float32 leaves of equal vectors
    for codes in ([0, 0, 0, 1, 1, 1], [0, 1, 0, 1, 1, 0]):
        found = separation(same, np.array(codes))
        # Two of the five others have the label.
        assert found == pytest.approx({"silhouette": 0, "accuracy": 0.4, "within": 1, "between": 1})
    order = DRAW.permutation(len(CODES))
    assert separation(VECTORS[order], CODES[order]) == pytest.approx(separation(VECTORS, CODES))


def test_a_vector_without_direction_is_not_hidden():
    broken = VECTORS.copy()
    broken[2] = 0
    for measure in (spread, lambda vectors: separation(vectors, CODES)):
        with pytest.raises(InputError, match="Vector 2 is all zeros"):
            measure(broken)


def test_equally_near_ones_share_the_vote():
    angles = np.array([0.0, 0.7, -0.7])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array([[3.0], [0.1], [7.3]])
    # The nearest of the first are one of its label and one that is not; of the others it is the first.
    assert separation(vectors, np.array([0, 0, 1]))["accuracy"] == pytest.approx((1 / 2 + 1 + 0) / 3)
