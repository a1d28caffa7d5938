import numpy as np
import pytest

from layerscope.errors import ModelError
from layerscope.reduce.finite import check_finite


@pytest.mark.parametrize("shape", [(3,), (3, 2), (3, 2, 4)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_that_is_not_finite_is_named(shape, value):
    values = np.ones(shape, dtype=np.float32)
    check_finite(values, iter(()))
    values[1:] = value
    with pytest.raises(ModelError, match="^b holds NaN or infinity, which the model gave.$"):
        check_finite(values, "abc")


def test_nothing_is_finite():
    check_finite(np.empty((0, 3)), ())
