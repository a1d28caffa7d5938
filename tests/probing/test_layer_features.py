import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import SkipTestWarning
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import estimator_checks

import layerscope as ls
from layerscope.errors import InputError, ModelError
from layerscope.probing.layer_features import Seen

TEXTS = ls.samples.texts()[:24]
LABELS = ["long" if len(text) > 45 else "short" for text in TEXTS]

# Those of scikit-learn's checks that need no table of numbers as input.
CHECKS = [
    estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_estimator_tags_renamed,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_mixin_order,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_set_params,
    estimator_checks.check_valid_tag_types,
]


def of(model, feature, texts):
    return np.stack([model.run(text).feature(feature) for text in texts])


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_scikit_learns_checks(check):
    check("LayerFeatures", ls.LayerFeatures())


def test_scikit_learn_runs_all_that_it_has_for_text():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)  # it says that it has no tables of texts to try
        results = estimator_checks.check_estimator(ls.LayerFeatures(), on_fail=None)
    assert results
    assert {result["status"] for result in results} == {"passed"}


@pytest.mark.parametrize(
    "feature", ["mean@3", "cls@-1", "max@-4:/max", "mean@-4:/concat", "pooler@-1", "mean@0:2"]
)
@pytest.mark.parametrize("cache", [1 << 30, 0])
def test_the_vectors_are_those_of_single_runs(model, feature, cache):
    features = ls.LayerFeatures(feature, model, cache=cache)
    found = features.fit_transform(TEXTS[:5])
    if feature == "mean@0:2":
        expected = np.concatenate([of(model, f"mean@{layer}", TEXTS[:5]) for layer in (0, 1)], axis=1)
    else:
        expected = of(model, feature, TEXTS[:5])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.dtype == np.float32
    names = features.get_feature_names_out()
    assert len(names) == found.shape[1]
    assert names[0].endswith("_0")


def test_lists_arrays_and_series_are_alike(model):
    features = ls.LayerFeatures("mean@2", model)
    expected = features.transform(TEXTS[:3])
    for given in (
        tuple(TEXTS[:3]),
        np.array(TEXTS[:3]),
        np.array(TEXTS[:3], dtype=object),
        pd.Series(TEXTS[:3], index=[5, 6, 7]),
    ):
        np.testing.assert_array_equal(features.transform(given), expected)
    assert features.transform([]).shape == (0, 384)


def count_texts(model):
    passed = []
    handle = model.hf.get_input_embeddings().register_forward_pre_hook(
        lambda _module, args: passed.append(args[0].shape[0])
    )
    return passed, handle


def test_a_grid_over_layers_runs_the_network_once(tiny_folder):
    model = ls.load(tiny_folder("bert"), device="cpu")
    model.run("a")  # a network is tried before it is first read
    passed, handle = count_texts(model)
    grid = {"features__feature": ["mean@0", "mean@1", "mean@2", "mean@3", "mean@-4:/concat"]}
    pipeline = Pipeline([("features", ls.LayerFeatures(model=model)), ("probe", RidgeClassifier())])
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(TEXTS, LABELS)
    handle.remove()
    assert sum(passed) == len(set(TEXTS))
    for layer in range(4):
        alone = make_pipeline(ls.LayerFeatures(f"mean@{layer}", model, cache=0), RidgeClassifier())
        plain = GridSearchCV(alone, {}, cv=3, error_score="raise").fit(TEXTS, LABELS)
        assert search.cv_results_["mean_test_score"][layer] == pytest.approx(plain.best_score_)


def test_without_a_cache_the_pass_is_only_as_deep_as_needed(tiny_folder):
    model = ls.load(tiny_folder("bert"), device="cpu")
    model.run("a")  # a network is tried before it is first read
    deep = []
    handle = model.hf.base_model.encoder.layer[1].register_forward_hook(lambda *_: deep.append(1))
    ls.LayerFeatures("mean@1", model, cache=0).fit_transform(TEXTS)
    model_passes = len(deep)
    ls.LayerFeatures("mean@1", model).fit_transform(TEXTS)
    handle.remove()
    assert model_passes == 0
    assert len(deep) > model_passes


def test_what_is_remembered_is_bounded(model):
    features = ls.LayerFeatures("mean@1", model, cache=10 * 7 * 384 * 4)
    passed, handle = count_texts(model)
    found = features.transform(TEXTS)
    features.transform(TEXTS[-10:])
    assert sum(passed) <= len(set(TEXTS)) + 4
    features.transform(TEXTS[:1])
    handle.remove()
    assert sum(passed) >= len(set(TEXTS)) + 1
    assert features._seen._bytes <= 10 * 7 * 384 * 4
    np.testing.assert_allclose(found, of(model, "mean@1", TEXTS), atol=1e-5)


def test_what_was_seen_is_kept_apart_by_pooling_model_and_way_with_long_texts(model, tiny):
    shared = ls.LayerFeatures("mean@1", model)
    text = ["a ghost of the first"]
    for options in (
        {"feature": "max@1"},
        {"feature": "mean@1", "long": "cut"},
        {"feature": "mean@1", "model": tiny("bert")},
    ):
        shared.transform(text)
        other = clone(shared).set_params(**options)
        assert other._seen is shared._seen
        expected = of(other.model, other.feature, text)
        np.testing.assert_allclose(other.transform(text), expected, atol=1e-5)


def test_clones_share_the_model(model):
    features = ls.LayerFeatures("mean@1", model)
    assert clone(features).model is model
    assert clone(make_pipeline(features, RidgeClassifier()))[0].model is model


def test_pickled_and_loaded_again(tiny_folder):
    model = ls.load(tiny_folder("bert"), device="cpu")
    for given in (model, str(tiny_folder("bert"))):
        features = ls.LayerFeatures("mean@2", given).fit(TEXTS)
        expected = features.transform(TEXTS)
        sent = pickle.dumps(features)
        again = pickle.loads(sent)
        assert again.get_params()["feature"] == "mean@2"
        np.testing.assert_array_equal(again.transform(TEXTS), expected)
        assert len(sent) < 20_000


def test_tables_by_set_output(model):
    features = ls.LayerFeatures("cls@1", model).set_output(transform="pandas")
    table = features.fit_transform(pd.Series(TEXTS[:3], index=["a", "b", "c"]))
    assert list(table.columns[:2]) == ["cls_1_0", "cls_1_1"]
    assert list(table.index) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("feature", "texts", "message"),
    [
        ("mean@1", "a text", "X is to be a list of texts, not str 'a text'"),
        ("mean@1", ["a", 1], "Text 1 is int 1"),
        ("mean@1", [["a"]], "Text 0 is list"),
        ("words@1", ["a"], "LayerFeatures gives one vector a text, such as mean@-1; words@1 is many"),
        ("mean@9", ["a"], "Layer 9 does not exist"),
        ("meen@1", ["a"], "'meen'.*mean"),
    ],
)
def test_what_cannot_be(model, feature, texts, message):
    with pytest.raises(InputError, match=message):
        ls.LayerFeatures(feature, model).fit(texts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cache": -1}, "cache is a whole number, at least 0; not -1"),
        ({"cache": "x"}, "cache is a whole number, at least 0; not 'x'"),
        ({"cache": None}, "cache is a whole number"),
        ({"cache": 0.5}, "cache is a whole number"),
        ({"model": 5}, "model is a Model, as layerscope.load gives it; not 5"),
        ({"model": []}, "model is a Model.*not a list of 0"),
        ({"long": "pad"}, "'pad'; known: window, cut, error"),
        ({"feature": None}, "A feature is written as text"),
    ],
)
def test_parameters_that_are_none(model, options, message):
    features = ls.LayerFeatures(**{"model": model} | options)
    for use in (features.fit, features.transform, features.fit_transform):
        with pytest.raises(InputError, match=message):
            use(["a"])


def test_texts_that_can_be_read_only_once_are_read_once_or_refused(model):
    features = ls.LayerFeatures("mean@1", model)
    expected = of(model, "mean@1", TEXTS[:2])
    for use in (features.fit_transform, features.transform, make_pipeline(features).fit_transform):
        np.testing.assert_allclose(use(iter(TEXTS[:2])), expected, atol=1e-5)
    with pytest.raises(InputError, match="X can be read only once, since it is a generator: give a list"):
        features.fit(text for text in TEXTS)
    used_up = map(str, TEXTS[:2])
    features.transform(used_up)
    for use in (features.transform, features.fit_transform):
        with pytest.raises(InputError, match="X gives no texts: a map can be read only once, and may have"):
            use(used_up)
    assert features.transform([]).shape == (0, 384)


def test_an_error_names_the_row_and_the_column_that_were_given(model):
    texts = ["a", "b", "b", "a ghost " * 300]
    for cache in (1 << 30, 0):
        features = ls.LayerFeatures("mean@-1", model, long="error", cache=cache)
        features.transform(["a"])
        with pytest.raises(InputError, match="Row 3 of the corpus: The text has"):
            features.transform(texts)
        with pytest.raises(InputError, match="Row 3 of the corpus: cls_6: The text passed in"):
            ls.LayerFeatures("cls@-1", model, cache=cache).transform(texts)


def test_numbers_that_are_none_at_a_layer_that_was_not_asked_for_take_nothing_away(tiny_folder):
    model = ls.load(tiny_folder("bert"), device="cpu")
    expected = of(model, "mean@1", TEXTS[:3])
    with torch.no_grad():
        model.hf.base_model.encoder.layer[1].output.LayerNorm.weight.mul_(np.inf)
    np.testing.assert_allclose(ls.LayerFeatures("mean@1", model).transform(TEXTS[:3]), expected, atol=1e-5)
    with pytest.raises(ModelError, match="Row 0 of the corpus: mean_2: holds NaN or infinity"):
        ls.LayerFeatures("mean@2", model).transform(TEXTS[:3])


def test_a_feature_that_the_model_does_not_give(tiny):
    with pytest.raises(ModelError, match="classification token"):
        ls.LayerFeatures("cls@1", tiny("gpt2")).fit(["a"])


def test_seen_forgets_the_oldest():
    seen, ran = Seen(), []

    def run(texts):
        ran.append(list(texts))
        return np.array([[[float(len(text))]] for text in texts], dtype=np.float32)

    assert seen.of(["a", "bb", "a"], "key", run, 8).ravel().tolist() == [1, 2, 1]
    assert seen.of(["ccc", "bb"], "key", run, 8).ravel().tolist() == [3, 2]
    seen.of(["a"], "key", run, 8)
    seen.of(["a"], "another", run, 8)
    assert ran == [["a", "bb"], ["ccc"], ["a"], ["a"]]
