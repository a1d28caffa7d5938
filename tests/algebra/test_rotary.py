import numpy as np
import pytest
import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from layerscope.algebra import rotary_angles, rotate

WIDTH, TOKENS = 8, 11
X = np.random.default_rng(0).normal(size=(3, TOKENS, WIDTH))


@pytest.mark.parametrize("base", [10_000.0, 500_000.0])
def test_as_llama(base):
    config = LlamaConfig(
        hidden_size=WIDTH * 3,
        num_attention_heads=3,
        rope_parameters={"rope_type": "default", "rope_theta": base},
    )
    cos, sin = LlamaRotaryEmbedding(config)(torch.zeros(1, dtype=torch.float32), torch.arange(TOKENS)[None])
    angles = rotary_angles(np.arange(TOKENS), WIDTH, base)
    np.testing.assert_allclose(np.cos(angles), cos[0], atol=1e-6)
    np.testing.assert_allclose(np.sin(angles), sin[0], atol=1e-6)
    x = torch.from_numpy(X)[None]
    theirs, _ = apply_rotary_pos_emb(x, x, cos.double(), sin.double())
    np.testing.assert_allclose(rotate(X, np.cos(angles), np.sin(angles)), theirs[0], atol=1e-5)


def test_lengths_stay_and_scores_see_distances_only():
    angles = rotary_angles(np.arange(TOKENS), WIDTH)
    turned = rotate(X, np.cos(angles), np.sin(angles))
    np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), np.linalg.norm(X, axis=-1))
    same = np.broadcast_to(X[0, 0], (TOKENS, WIDTH))
    scores = (one := rotate(same, np.cos(angles), np.sin(angles))) @ one.T
    np.testing.assert_allclose(np.diagonal(scores, 3), scores[0, 3])
    assert abs(scores[0, 3] - scores[0, 4]) > 1e-3


def test_columns_beyond_the_angles_stay():
    angles = rotary_angles(np.arange(TOKENS), 4)
    turned = rotate(X, np.cos(angles), np.sin(angles))
    np.testing.assert_array_equal(turned[..., 4:], X[..., 4:])
    np.testing.assert_allclose(turned[..., :4], rotate(X[..., :4], np.cos(angles), np.sin(angles)))
    assert not np.allclose(turned[:, 1:, :4], X[:, 1:, :4])
