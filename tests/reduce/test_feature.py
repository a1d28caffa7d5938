import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerscope.errors import InputError
from layerscope.reduce.feature import COMBINES, Feature
from layerscope.reduce.pooling import POOLINGS

SEED_STRATEGIES = ["mean@-1", "max@-1", "mean@-4:/mean", "max@-4:/max", "mean@-4:/concat", "cls@-1"]


@given(
    st.sampled_from(sorted(POOLINGS)),
    st.sampled_from(["all", "0", "8", "-1", "-4:", "0:6", ":3"]),
    st.sampled_from([None, *COMBINES]),
)
def test_what_is_written_is_what_is_read(pooling, layers, combine):
    feature = Feature(pooling, layers, combine)
    assert Feature.parse(str(feature)) == feature
    assert len(feature.columns(12)) == (1 if combine else len(feature.resolve(12)))
    assert len(set(feature.columns(12))) == len(feature.columns(12))


@pytest.mark.parametrize(
    ("written", "columns"),
    [
        ("mean@-4:/concat", ("mean_9to12_concat",)),
        ("mean@8", ("mean_8",)),
        ("cls@0:3", ("cls_0", "cls_1", "cls_2")),
        ("pooler@-1", ("pooler_12",)),
        ("words@8", ("words_8",)),
        ("mean", ("mean_12",)),
        ("max/mean", ("max_12to12_mean",)),
    ],
)
def test_columns(written, columns):
    assert Feature.parse(written).columns(12) == columns


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("", "POOLING@LAYERS"),
        ("mean@", "POOLING@LAYERS"),
        ("@8", "POOLING@LAYERS"),
        ("mean@8/concat/max", "POOLING@LAYERS"),
        ("meen@8", "Did you mean 'mean'"),
        ("mean@eight", "all"),
        ("mean@8/avg", "known: mean, max, sum, concat"),
        ("pooler@3", "last layer only"),
        ("words@8/mean", "cannot be combined"),
    ],
)
def test_errors_teach(written, says):
    with pytest.raises(InputError, match=says):
        Feature.parse(written)


@pytest.mark.parametrize("strategy", SEED_STRATEGIES)
def test_the_strategies_of_the_first_seed(strategy, model):
    trace = model.run("Then I tried to find some way of embracing my mother's ghost.")
    states, last_four = trace.hidden_states, trace.hidden_states[-4:]
    by_hand = {
        "mean@-1": states[-1].mean(0),
        "max@-1": states[-1].max(0),
        "mean@-4:/mean": last_four.mean(0).mean(0),
        "max@-4:/max": last_four.max(0).max(0),
        "mean@-4:/concat": np.concatenate([layer.mean(0) for layer in last_four]),
        "cls@-1": states[-1, 0],
    }
    np.testing.assert_allclose(trace.feature(strategy), by_hand[strategy], atol=1e-6)


def test_several_layers_are_several_vectors(model):
    trace = model.run("Seeing is believing.")
    assert trace.feature("mean@all").shape == (7, 384)
    assert trace.feature("mean@-4:/concat").shape == (4 * 384,)
    np.testing.assert_array_equal(trace.feature("pooler@-1"), trace.pooler_output)
    with pytest.raises(InputError, match="no one vector"):
        trace.feature("words@8")
