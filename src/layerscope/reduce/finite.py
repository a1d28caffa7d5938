"""Numbers that are none: said of what holds them, before anything is computed from them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress

import numpy as np

from layerscope.errors import ModelError
from layerscope.reduce.pooling import Array


def check_finite(values: Array, names: Iterable[str]) -> None:
    """Raise unless all of values [n, …] are finite; the n `names` are read only if one is not.

    Raises:
        ModelError: one is NaN or infinite; the message names the first.
    """
    is_broken = np.asarray(~np.isfinite(values).all(axis=tuple(range(1, values.ndim))))
    if is_broken.any():
        raise ModelError(f"{next(compress(names, is_broken))} holds NaN or infinity, which the model gave.")
