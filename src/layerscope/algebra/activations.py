"""Activation functions, by the names that the configurations of transformers call them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from layerscope.algebra.linear import Array
from layerscope.arguments import checked
from layerscope.errors import InputError, unknown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Activation = Callable[[Array], Array]


def activation(name: str) -> Activation:
    """The function of this name.

    Raises:
        InputError: there is none.

    >>> activation("gelu")(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    if name not in ACTIVATIONS:
        raise unknown("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]


def relu(x: Array) -> Array:
    """What is negative becomes 0."""
    return np.maximum(x, 0)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ), between 0 and 1."""
    return np.asarray(np.exp(-np.logaddexp(0, -x)))  # written so that no power overflows


def silu(x: Array) -> Array:
    """x · sigmoid(x), also called swish (Elfwing et al. 2017)."""
    return np.asarray(x * sigmoid(x))


def gelu(x: Array) -> Array:
    """x · Φ(x), Φ being the normal distribution (Hendrycks & Gimpel 2016)."""
    return np.asarray(x * (0.5 * (1 + _erf(x / math.sqrt(2)))).astype(x.dtype))


def gelu_tanh(x: Array) -> Array:
    """GELU with Φ approximated by tanh, as GPT-2 has it."""
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


def gelu_quick(x: Array) -> Array:
    """GELU with Φ approximated by a sigmoid: x · sigmoid(1.702 x)."""
    return np.asarray(x * sigmoid(1.702 * x))


@checked
def plot_activations(
    ax: Axes | None = None,
    *,
    names: Sequence[str] = ("relu", "gelu", "silu", "sigmoid", "tanh"),
    low: float = -4.0,
    high: float = 4.0,
) -> Axes:
    """Activation functions as curves.

    Args:
        ax: where to draw; a new figure if left out.
        names: which of `ACTIVATIONS`.
        low, high: between which x.

    Raises:
        InputError: an unknown name, or a range that is none.

    >>> import layerscope as ls
    >>> ls.algebra.plot_activations(names=["relu", "silu"]).get_xlabel()
    'x'
    """
    import pandas as pd

    from layerscope.plots.curves import curves

    if not -math.inf < low < high < math.inf:
        raise InputError(f"low and high are two numbers, the lower first; not {low} and {high}.")
    x = np.linspace(float(low), float(high), 401)
    lines = {name: pd.Series(activation(name)(x), index=x) for name in names}
    if not lines:
        raise InputError("Name at least one activation.")
    return curves(lines, title="Activation functions", xlabel="x", ylabel="f(x)", marker=None, ax=ax)


# numpy has no error function.
_erf = np.vectorize(math.erf, otypes=[np.float64])

ACTIVATIONS: dict[str, Activation] = {
    "gelu": gelu,
    "gelu_python": gelu,
    "gelu_new": gelu_tanh,
    "gelu_fast": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "quick_gelu": gelu_quick,
    "linear": np.asarray,
    "relu": relu,
    "relu2": lambda x: relu(x) ** 2,
    "sigmoid": sigmoid,
    "silu": silu,
    "swish": silu,
    "tanh": np.tanh,
}
