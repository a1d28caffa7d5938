import numpy as np
import pytest

from layerscope.errors import InputError
from layerscope.reduce.layers import resolve_layer, resolve_layers


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("all", tuple(range(13))),
        ("8", (8,)),
        (" -1 ", (12,)),
        ("-4:", (9, 10, 11, 12)),
        ("0:6", (0, 1, 2, 3, 4, 5)),
        (":", tuple(range(13))),
        (8, (8,)),
        (-13, (0,)),
        ([12, 0, -1], (0, 12)),
        (range(2), (0, 1)),
        ((), ()),
        (np.array([3, 0]), (0, 3)),
        (np.array(3), (3,)),
    ],
)
def test_layers_are_counted_from_0_in_order_once(written, expected):
    assert resolve_layers(written, 12) == expected


@pytest.mark.parametrize(
    "written", ["", "x", "1,,2", "1,2,", "1:2:3", "1.0", "-", "5:3", "-14:", "0:14", "13", "-14"]
)
def test_what_is_no_layer_is_an_error(written):
    with pytest.raises(InputError, match="ayer|range"):
        resolve_layers(written, 12)


@pytest.mark.parametrize("layer", [13, -14, True, 1.0, None])
def test_a_single_layer_must_be_one(layer):
    with pytest.raises(InputError, match="ayer"):
        resolve_layer(layer, 12)
