import numpy as np
import pytest
import torch
from transformers.activations import ACT2FN

import layerscope as ls
from layerscope.algebra import ACTIVATIONS, activation
from layerscope.errors import InputError

X = np.concatenate([np.linspace(-12, 12, 2001), [-1000.0, 0.0, 1000.0]])


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_as_transformers(name):
    theirs = ACT2FN[name](torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(
        activation(name)(X), theirs, rtol=1e-9, atol=1e-8 if name == "gelu_fast" else 1e-12
    )


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_float32_stays_float32(name):
    found = activation(name)(X.astype(np.float32))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_exact_gelu_is_not_its_approximation():
    assert np.abs(activation("gelu")(X) - activation("gelu_new")(X)).max() > 1e-4


def test_an_unknown_name():
    with pytest.raises(InputError, match="Unknown activation 'gellu'; known: .*Did you mean 'gelu'"):
        activation("gellu")


def test_they_are_drawn():
    ax = ls.algebra.plot_activations()
    assert [line.get_label() for line in ax.lines] == ["relu", "gelu", "silu", "sigmoid", "tanh"]
    x, y = ax.lines[1].get_data()
    np.testing.assert_allclose(y, torch.nn.functional.gelu(torch.from_numpy(x)).numpy(), atol=1e-9)
    assert ls.algebra.plot_activations(ax, names=["relu2"]) is ax
    for wrong, message in (
        ({"names": ["rely"]}, "'rely'.*relu"),
        ({"low": 2.0, "high": 1.0}, "the lower first"),
        ({"names": []}, "at least one"),
    ):
        with pytest.raises(InputError, match=message):
            ls.algebra.plot_activations(**wrong)
