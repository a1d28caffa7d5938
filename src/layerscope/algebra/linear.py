"""The linear layer: what a token's vector is multiplied by, and what is added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Linear:
    """x Wᵀ + b, for each token alike.

    Attributes:
        weight: [out, in], as `torch.nn.Linear` keeps it.
        bias: [out], or None.

    >>> Linear(np.array([[1.0, 2.0]]), np.array([0.5]))(np.array([[10.0, 1.0], [0.0, 1.0]]))
    array([[12.5],
           [ 2.5]])
    """

    weight: Array
    bias: Array | None = None

    def __call__(self, x: Array) -> Array:
        """[token, in] to [token, out]."""
        product = x @ self.weight.T
        return np.asarray(product if self.bias is None else product + self.bias)
