"""Attention by numpy against torch's own, and what is true of any attention."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from layerscope.algebra import (
    Linear,
    attention_scores,
    causal_mask,
    masked,
    merge_heads,
    multi_head_attention,
    repeat_heads,
    scaled_dot_product_attention,
    softmax,
    split_heads,
)
from layerscope.errors import InputError

TIGHT = {"rtol": 1e-10, "atol": 1e-12}


def arrays(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


def torch_attention(q, k, v, **given):
    q, k, v = (torch.from_numpy(x)[None] for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, **given)[0].numpy()


@pytest.mark.parametrize("keys", [5, 9, 2])
def test_as_torch_plain_and_across_sequences(keys):
    q, k, v = arrays((3, 5, 8), (3, keys, 8), (3, keys, 4))
    np.testing.assert_allclose(
        scaled_dot_product_attention(q, k, v).output, torch_attention(q, k, v), **TIGHT
    )


@pytest.mark.parametrize("keys", [5, 9, 2])
def test_as_torch_with_a_causal_mask(keys):
    q, k, v = arrays((3, 5, 8), (3, keys, 8), (3, keys, 8))
    ours = scaled_dot_product_attention(q, k, v, causal_mask(5, keys))
    np.testing.assert_allclose(ours.output, torch_attention(q, k, v, is_causal=True), **TIGHT)


def test_as_torch_with_a_mask_of_its_own_for_each_head():
    q, k, v = arrays((3, 5, 8), (3, 6, 8), (3, 6, 8))
    mask = np.random.default_rng(1).random((3, 5, 6)) < 0.5
    mask[..., 0] = True
    theirs = torch_attention(q, k, v, attn_mask=torch.from_numpy(mask)[None])
    np.testing.assert_allclose(scaled_dot_product_attention(q, k, v, mask).output, theirs, **TIGHT)


@pytest.mark.parametrize(("masks", "crosses"), [(False, False), (True, False), (False, True)])
def test_many_heads_as_torch(masks, crosses):
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(12, 3, batch_first=True, dtype=torch.float64)
    torch.nn.init.normal_(theirs.in_proj_bias)
    torch.nn.init.normal_(theirs.out_proj.bias)
    x, context = arrays((5, 12), (7 if crosses else 5, 12))
    context = context if crosses else x
    mask = causal_mask(5, len(context)) if masks else None
    # torch's mask is the other way round: true where a query may not look.
    hidden = None if mask is None else torch.from_numpy(~mask)
    one, other = torch.from_numpy(x)[None], torch.from_numpy(context)[None]
    expected = theirs(one, other, other, attn_mask=hidden)[0][0].detach().numpy()

    weights = theirs.in_proj_weight.detach().numpy().reshape(3, 12, 12)
    biases = theirs.in_proj_bias.detach().numpy().reshape(3, 12)
    layers = [Linear(*pair) for pair in zip(weights, biases, strict=True)]
    output = Linear(theirs.out_proj.weight.detach().numpy(), theirs.out_proj.bias.detach().numpy())
    ours = multi_head_attention(x, *layers, output, 3, mask, context if crosses else None)
    np.testing.assert_allclose(ours, expected, **TIGHT)


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), st.integers(1, 8), st.integers(0, 99))
def test_rows_are_shares(heads, queries, keys, width, seed):
    q, k, v = arrays((heads, queries, width), (heads, keys, width), (heads, keys, width), seed=seed)
    found = scaled_dot_product_attention(q * 30, k, v)
    np.testing.assert_allclose(found.probabilities.sum(axis=-1), 1)
    assert (found.probabilities >= 0).all()


@given(st.integers(1, 7), st.data())
def test_what_comes_later_changes_nothing_before(tokens, data):
    place = data.draw(st.integers(0, tokens - 1))
    q, k, v, other = arrays((2, tokens, 4), (2, tokens, 4), (2, tokens, 4), (2, tokens, 4))
    mask = causal_mask(tokens, tokens)
    before = scaled_dot_product_attention(q, k, v, mask).output
    for changed in (q, k, v):
        changed[:, place:] = other[:, place:]
    after = scaled_dot_product_attention(q, k, v, mask).output
    np.testing.assert_array_equal(before[:, :place], after[:, :place])
    assert not np.array_equal(before[:, place], after[:, place])  # a token sees itself


@given(st.permutations(range(6)))
def test_the_order_of_keys_and_values_does_not_matter(order):
    q, k, v = arrays((2, 3, 4), (2, 6, 4), (2, 6, 4))
    one = scaled_dot_product_attention(q, k, v).output
    other = scaled_dot_product_attention(q, k[:, order], v[:, order]).output
    np.testing.assert_allclose(one, other, **TIGHT)


def test_softmax_of_large_scores_does_not_overflow():
    scores = np.array([[1e4, 1e4 - 1], [-1e4, -1e4 - 1]], dtype=np.float32)
    expected = torch.softmax(torch.from_numpy(scores), -1).numpy()
    np.testing.assert_allclose(softmax(scores), expected, rtol=1e-6)


@pytest.mark.parametrize("scores", [[-np.inf, -np.inf], [np.nan, 1.0], [np.inf, 1.0]])
def test_rows_without_probabilities_are_refused(scores):
    with pytest.raises(InputError, match="every key is masked, or a score is NaN"):
        softmax(np.array(scores))


def test_the_parts():
    q, k = arrays((2, 3, 16), (2, 4, 16))
    np.testing.assert_allclose(attention_scores(q, k), np.einsum("hqd,hkd->hqk", q, k) / 4)
    np.testing.assert_allclose(attention_scores(q, k, 0.5), np.einsum("hqd,hkd->hqk", q, k) / 2)
    assert np.isneginf(masked(np.zeros((2, 2)), np.eye(2, dtype=bool))).tolist() == [
        [False, True],
        [True, False],
    ]
    x = np.arange(24.0).reshape(2, 12)
    assert split_heads(x, 3)[1].tolist() == [[4, 5, 6, 7], [16, 17, 18, 19]]
    assert (merge_heads(split_heads(x, 3)) == x).all()
    assert repeat_heads(np.arange(2)[:, None, None], 6)[:, 0, 0].tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(InputError, match="12 columns cannot be split into 5 heads"):
        split_heads(x, 5)
    with pytest.raises(InputError, match="5 heads cannot share 2 key heads"):
        repeat_heads(np.zeros((2, 1, 1)), 5)


def test_float32_stays_float32():
    q, k, v = (x.astype(np.float32) for x in arrays((2, 3, 4), (2, 3, 4), (2, 3, 4)))
    found = scaled_dot_product_attention(q, k, v, causal_mask(3, 3))
    assert {found.scores.dtype, found.probabilities.dtype, found.output.dtype} == {np.dtype("float32")}
