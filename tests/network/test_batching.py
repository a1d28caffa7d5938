from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from layerscope.network.batching import Item, batches, padded
from layerscope.network.windows import Window


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 200))
def test_batches_hold_every_item_once_within_the_budget(sizes, budget):
    items = [
        Item(n, None, Window(np.arange(size), np.ones(size, dtype=bool))) for n, size in enumerate(sizes)
    ]
    made = list(batches(items, budget))
    assert sorted(item.text for batch in made for item in batch) == list(range(len(sizes)))
    for batch in made:
        assert len(batch) == 1 or max(item.size for item in batch) * len(batch) <= budget
    for one, following in pairwise(made):
        assert max(one[0].size, following[0].size) * (len(one) + 1) > budget


def test_padding_goes_to_the_right():
    rows = [np.array([1, 2, 3]), np.array([4])]
    np.testing.assert_array_equal(padded(rows, 9), [[1, 2, 3], [4, 9, 9]])
