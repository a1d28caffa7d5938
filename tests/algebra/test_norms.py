import numpy as np
import pytest
import torch
import torch.nn.functional as F

from layerscope.algebra import layer_norm, rms_norm

X = np.random.default_rng(0).normal(2, 3, size=(4, 7, 10))
WEIGHT, BIAS = np.random.default_rng(1).normal(size=(2, 10))


@pytest.mark.parametrize("eps", [1e-12, 1e-5, 0.1])
def test_layer_norm_as_torch(eps):
    x, weight, bias = map(torch.from_numpy, (X, WEIGHT, BIAS))
    np.testing.assert_allclose(layer_norm(X, WEIGHT, BIAS, eps), F.layer_norm(x, (10,), weight, bias, eps))
    np.testing.assert_allclose(layer_norm(X, eps=eps), F.layer_norm(x, (10,), eps=eps))


@pytest.mark.parametrize("eps", [1e-12, 1e-6, 0.1])
def test_rms_norm_as_torch(eps):
    x, weight = map(torch.from_numpy, (X, WEIGHT))
    np.testing.assert_allclose(rms_norm(X, WEIGHT, eps), F.rms_norm(x, (10,), weight, eps))
    np.testing.assert_allclose(rms_norm(X, eps=eps), F.rms_norm(x, (10,), eps=eps))


def test_each_vector_is_normed_on_its_own():
    """What BatchNorm does not: other tokens have no part in it."""
    np.testing.assert_array_equal(layer_norm(X)[1, 2], layer_norm(X[1, 2]))


def test_float32_stays_float32():
    x = X.astype(np.float32)
    assert layer_norm(x).dtype == rms_norm(x).dtype == np.float32
