import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from layerscope.reduce.heads import MEASURES, can_be_asked, finds_head_words, measures, most_attended


def attentions(tokens, heads=2):
    raw = hnp.arrays(np.float64, (heads, tokens, tokens), elements=st.floats(0, 1, width=32))
    return raw.map(lambda values: (values + 1e-9) / (values + 1e-9).sum(-1, keepdims=True))


@st.composite
def rows_and_specials(draw):
    tokens = draw(st.integers(1, 6))
    special = np.array(draw(st.lists(st.booleans(), min_size=tokens, max_size=tokens)))
    return draw(attentions(tokens)), special


def by_hand(rows, special):
    """Each measure of each query, one number at a time."""
    found = []
    for query in range(len(special)):
        if special[query]:
            continue
        row = rows[query]
        distance = sum(row[key] * abs(query - key) for key in range(len(row)))
        to_special = sum(row[key] for key in range(len(row)) if special[key])
        before = row[query - 1] if query > 0 else 0
        after = row[query + 1] if query + 1 < len(row) else 0
        entropy = scipy.stats.entropy(row)
        found.append([entropy, distance, to_special, row[0], row[query], before, after])
    return np.array(found).reshape(-1, len(MEASURES)).T


@given(rows_and_specials())
def test_measures_equal_a_loop(given_):
    attention, special = given_
    found = measures(attention, special)
    assert list(MEASURES) == ["entropy", "distance", "special", "first", "self", "previous", "next"]
    for head in range(2):
        np.testing.assert_allclose(found[:, head], by_hand(attention[head], special), atol=1e-9)


def test_what_is_known():
    own = np.zeros(4, dtype=bool)
    names = list(MEASURES)
    uniform = dict(zip(names, measures(np.full((4, 4), 0.25), own).mean(-1), strict=True))
    assert uniform["entropy"] == pytest.approx(np.log(4))
    before = np.eye(4, k=-1)
    before[0, 0] = 1
    found = dict(zip(names, measures(before, own), strict=True))
    np.testing.assert_array_equal(found["previous"], [0, 1, 1, 1])
    np.testing.assert_array_equal(found["entropy"], 0)
    np.testing.assert_array_equal(found["distance"], [0, 1, 1, 1])


def test_what_is_no_number_stays_none():
    attention = np.full((2, 2), 0.5)
    attention[1, 0] = np.nan
    found = measures(attention, np.zeros(2, dtype=bool))
    assert np.isnan(found[:2, 1]).all()
    assert not np.isnan(found[:, 0]).any()


@given(st.data())
def test_most_attended_equals_a_loop(data):
    words = data.draw(st.integers(1, 6))
    attention = data.draw(attentions(words))
    among = np.array(data.draw(st.lists(st.booleans(), min_size=words, max_size=words)))
    found = most_attended(attention, among)
    for head in range(2):
        for query in range(words):
            keys = [key for key in range(words) if key != query and among[key]]
            expected = max(keys, key=lambda key: attention[head, query, key], default=-1)
            assert found[head, query] == expected


def test_no_attention_is_no_guess():
    assert most_attended(np.eye(3), np.ones(3, dtype=bool)).tolist() == [-1, -1, -1]
    assert most_attended(np.zeros((2, 0, 0)), np.zeros(0, dtype=bool)).shape == (2, 0)


def test_both_directions():
    # Word 0 attends to 1, 1 to 2, 2 to 1; so 1 is attended to most by 2, and 2 by 1, and 0 by nobody but 2.
    attention = np.array([[0.1, 0.8, 0.1], [0.0, 0.1, 0.9], [0.2, 0.85, 0.0]])
    among = np.ones(3, dtype=bool)
    dependents, heads = np.array([0, 0, 1, 1, 2]), np.array([1, 2, 0, 2, 1])
    found = finds_head_words(attention, among, dependents, heads)
    assert found[0].tolist() == [True, False, False, True, True]
    assert found[1].tolist() == [False, True, False, True, True]


def test_what_can_be_asked():
    among = np.array([False, True, True, True])
    dependents, heads = np.array([1, 3, 2, 0, -1, 2]), np.array([3, 1, 2, 1, 2, 0])
    assert (
        can_be_asked(among, dependents, heads, False).tolist()
        == [[True, True, False, False, False, False]] * 2
    )
    assert can_be_asked(among, dependents, heads, True).tolist() == [
        [False, True, False, False, False, False],
        [True, False, False, False, False, False],
    ]
