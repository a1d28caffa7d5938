import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from layerscope.network.batching import Item
from layerscope.network.pooled import Pool
from layerscope.network.windows import windows
from layerscope.reduce.pooling import MAX, WEIGHTINGS, pool
from layerscope.text.encode import encode

WORDS = ["seeing", "is", "believing", "and", "a", "ghost", "by", "the", "bank", "of", "a", "river"]


@given(lengths=st.lists(st.integers(0, 30), min_size=1, max_size=6), size=st.sampled_from([None, 8, 12]))
def test_a_pooled_batch_is_each_text_pooled(model, lengths, size):
    texts = encode(model.vocabulary, [" ".join((WORDS * 3)[:length]) for length in lengths])
    items = [Item(n, one, piece) for n, one in enumerate(texts) for piece in windows(one, size, causal=False)]
    chance = np.random.default_rng(len(lengths))
    states = [chance.normal(size=(len(one), 5)).astype(np.float32) for one in texts]
    width = max(len(item.window) for item in items)
    batch = chance.normal(scale=100, size=(len(items), width, 5)).astype(np.float32)  # padding, and not owned
    for number, item in enumerate(items):
        owned = item.window.owned
        batch[number, : len(item.window)][owned] = states[item.text][item.window.positions[owned]]
    pooled = Pool(items, [*WEIGHTINGS, MAX])
    shares = pooled(torch.from_numpy(batch)).numpy()
    for number, one in enumerate(texts):
        own = shares[[place for place, item in enumerate(items) if item.text == number]]
        for place, name in enumerate(pooled.names):
            found = own[:, place].max(axis=0) if name == MAX else own[:, place].sum(axis=0)
            np.testing.assert_allclose(found, pool(name, states[number], one), atol=1e-5)
