import json
import re

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler

import layerscope as ls
from layerscope.errors import InputError, ModelError
from layerscope.probing.sweep import default_features
from layerscope.probing.swept import Score, Sweep
from layerscope.reduce.feature import Feature

WATER = [
    "He sat on the river bank.",
    "The shore was muddy.",
    "A boat lay by the stream.",
    "The lake froze over.",
]
MONEY = [
    "She asked for a loan.",
    "The bank raised its rates.",
    "He paid in cash.",
    "Their account was empty.",
]
TEXTS = [f"{text} {more}" for more in ("", "Then it rained.", "Nobody knew why.") for text in WATER + MONEY]
LABELS = (["water"] * 4 + ["money"] * 4) * 3


def by_hand(vectors, labels, folds, model, score):
    """Standardise, fit and score by hand, fold by fold."""
    found = []
    for train, test in folds:
        scaler = StandardScaler().fit(vectors[train])
        fitted = model.fit(scaler.transform(vectors[train]), labels[train])
        found.append(score(fitted.predict(scaler.transform(vectors[test])), labels[test]))
    return found


@pytest.fixture(scope="module")
def found(model):
    return ls.sweep(model, TEXTS, LABELS, ["mean@all", "cls@2", "max@-4:/max", "mean@-4:/concat"], cv=3)


def test_the_scores_are_those_of_scikit_learn_by_hand(model, found):
    labels = np.array(LABELS)
    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(labels, labels))
    for result in found.results:
        vectors = np.stack([model.run(text).feature(result.feature) for text in TEXTS])
        expected = by_hand(
            vectors, labels, folds, RidgeClassifierCV(np.logspace(-1, 5, 7)), lambda a, b: (a == b).mean()
        )
        np.testing.assert_allclose(result.scores, expected, atol=1e-9)
    assert [str(result.feature) for result in found.results] == [
        *(f"mean@{layer}" for layer in range(7)), "cls@2", "max@-4:/max", "mean@-4:/concat",
    ]  # fmt: skip
    assert [result.depth for result in found.results] == [0, 1, 2, 3, 4, 5, 6, 2, 6, 6]
    assert found.results[-1].width == 4 * 384
    np.testing.assert_allclose(found.baseline, 0.5)


def test_shuffled_labels_cannot_be_read(model):
    found = ls.sweep(model, TEXTS * 4, LABELS * 4, "mean@-1", groups=list(range(24)) * 4)
    assert found.results[0].scores.mean() > 0.8
    assert found.results[0].shuffled.mean() < 0.7


def test_the_error_and_the_interval():
    result = Score(Feature("mean", "1"), 1, 8, np.array([0.5, 0.6, 0.7, 0.9]), np.zeros(4))
    assert result.error == pytest.approx(stats.sem(result.scores))
    low, high = stats.t.interval(0.95, 3, loc=result.scores.mean(), scale=stats.sem(result.scores))
    assert result.interval == pytest.approx((low, high))


def test_the_cheapest_within_one_error_of_the_best(model):
    def result(layer, scores, width=8):
        return Score(Feature("mean", str(layer)), layer, width, np.array(scores), np.zeros(3))

    def swept(*results):
        return Sweep(model, "text", "classify", "accuracy", "ridge", results, np.zeros(3), 9, 0, {})

    best = result(6, [0.8, 0.9, 1.0])  # standard error 0.058
    within, cheaper = result(4, [0.85, 0.85, 0.86]), result(2, [0.8, 0.8, 0.8])
    found = swept(best, within, cheaper)
    assert (found.best, found.cheapest) == (best, within)
    notes = found.table()["note"]
    assert notes["mean@6"] == "best"
    assert notes["mean@4"] == "cheapest within one error of the best"
    narrow, wide = result(4, [0.9, 0.9, 0.9]), result(4, [0.9, 0.9, 0.9], width=16)
    assert swept(wide, narrow).best is narrow
    assert swept(wide, narrow).table()["note"].tolist() == ["", "best, and cheapest within one error"]


def test_words(model):
    sentences = [
        ["The", "ghost", "sat", "."],
        ["A", "bank", "lends", "."],
        ["He", "froze", "\u200b", "."],
    ] * 4
    labels = [["D", "N", "V", "P"], ["D", "N", "V", "P"], ["N", "V", "V", "P"]] * 4
    found = ls.sweep(model, sentences, labels, cv=2)
    assert found.unit == "word"
    assert [str(result.feature) for result in found.results] == [f"words@{layer}" for layer in range(7)]
    # The tokenizer drops a zero width space, so that such a word has no vector.
    assert (found.num_examples, found.left_out) == (44, 4)
    assert all(np.isfinite(result.scores).all() for result in found.results)


def test_words_equal_scikit_learn_by_hand(model):
    sentences = [["The", "embracing", "ghost", "sat"], ["A", "bank", "lends", "tokenization"]] * 3
    labels = [["D", "V", "N", "V"], ["D", "N", "V", "N"]] * 3
    found = ls.sweep(model, sentences, labels, ["words@4"], cv=2)
    vectors = np.concatenate([model.run(model.tokenize(words=one)).word_vectors(4) for one in sentences])
    flat, groups = np.array([label for own in labels for label in own]), np.repeat(np.arange(6), 4)
    folds = list(StratifiedGroupKFold(2, shuffle=True, random_state=0).split(flat, flat, groups))
    expected = by_hand(
        vectors, flat, folds, RidgeClassifierCV(np.logspace(-1, 5, 7)), lambda a, b: (a == b).mean()
    )
    np.testing.assert_allclose(found.results[0].scores, expected, atol=1e-9)


def test_numbers(model):
    numbers = np.array([len(text) / 10 for text in TEXTS])
    found = ls.sweep(model, TEXTS, numbers, ["mean@2"], cv=3)
    folds = list(KFold(3, shuffle=True, random_state=0).split(numbers))
    vectors = np.stack([model.run(text).pool("mean", 2) for text in TEXTS])

    def r2(predicted, actual):
        return 1 - ((predicted - actual) ** 2).sum() / ((actual - actual.mean()) ** 2).sum()

    expected = by_hand(vectors, numbers, folds, RidgeCV(np.logspace(-1, 5, 7)), r2)
    np.testing.assert_allclose(found.results[0].scores, expected, atol=1e-6)
    assert (found.task, found.scoring) == ("regress", "r2")
    assert found.baseline.max() <= 0


def test_logistic_regression_and_another_score(model):
    found = ls.sweep(model, TEXTS, LABELS, ["mean@-1"], cv=2, probe="logistic", scoring="f1_macro")
    assert found.results[0].score > 0.7
    assert "f1_macro" in found.table().columns


def test_what_is_compared_if_nothing_is_named(model, tiny):
    features = [str(feature) for feature in default_features(model, "text")]
    assert features[:4] == ["cls@all", "mean@all", "max@all", "last@all"]
    columns = [name for feature in default_features(model, "text") for name in feature.columns(6)]
    assert len(columns) == 32
    decoder = [str(feature) for feature in default_features(tiny("gpt2"), "text")]
    assert decoder[:3] == ["mean@all", "max@all", "last@all"]
    assert decoder[-1] == "last@-4:/concat"
    assert [str(one) for one in default_features(model, "word")] == ["words@all"]


def test_the_network_runs_once(model, tiny):
    model = tiny("bert")
    passed = []
    handle = model.hf.get_input_embeddings().register_forward_pre_hook(
        lambda _module, args: passed.append(args[0].shape[0])
    )
    try:
        ls.sweep(model, TEXTS, LABELS, cv=2)
    finally:
        handle.remove()
    assert len(TEXTS) <= sum(passed) <= len(TEXTS) + 4  # and what finding the sites takes


def test_the_result_as_plain_values_and_as_a_figure(found):
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["best"] == str(found.best.feature)
    assert len(plain["features"]) == 10
    ax = found.plot()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"mean", "cls", "max@-4:/max", "mean@-4:/concat", "baseline", "shuffled"} == set(labels)
    line = next(line for line in ax.lines if line.get_label() == "mean")
    np.testing.assert_allclose(line.get_ydata(), [result.score for result in found.results[:7]])


@pytest.mark.parametrize(
    ("features", "labels", "options", "message"),
    [
        (
            ["words@all"],
            LABELS,
            {},
            "The examples are texts, so a feature is one vector a text.*not words@all",
        ),
        ([], LABELS, {}, "Name at least one feature"),
        (["mean@9"], LABELS, {}, "Layer 9 does not exist"),
        (["mean@1"], ["x"] * 24, {}, "All 24 labels are x"),
        (["mean@1"], LABELS, {"cv": 13}, "The class 'money' has 12 examples, fewer than the 13 folds"),
        (["mean@1"], LABELS, {"probe": "forest"}, "'forest'.*ridge"),
        (["mean@1"], [0.5, 1.5] * 12, {"probe": "logistic"}, "'logistic'.*ridge"),
    ],
)
def test_what_cannot_be(model, features, labels, options, message):
    with pytest.raises(InputError, match=message):
        ls.sweep(model, TEXTS, labels, features, **options)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (
            LABELS,
            {"scoring": "f1"},
            "cannot be learnt and scored by f1 in 5 folds: pos_label=1 is not a valid label",
        ),
        (LABELS, {"scoring": "neg_log_loss"}, "cannot be learnt and scored by neg_log_loss in 5 folds"),
        ([number / 2 for number in range(24)], {"cv": 24}, "The score r2 is undefined .NaN. in a fold"),
        (
            [f"c{number // 2}" for number in range(24)],
            {"probe": "logistic", "cv": 2},
            "cannot be learnt and scored by accuracy",
        ),
    ],
)
def test_scores_that_cannot_be_had_are_said_before_the_pass(model, labels, options, message, monkeypatch):
    monkeypatch.setattr("layerscope.probing.sweep.collected", None)
    with pytest.raises(InputError, match=message):
        ls.sweep(model, TEXTS, labels, ["mean@1"], **options)


def test_features_that_the_model_does_not_give(tiny):
    with pytest.raises(ModelError, match="classification token"):
        ls.sweep(tiny("gpt2"), TEXTS, LABELS, ["cls@1"])


def test_what_is_best_is_said_in_a_line(model):
    found = ls.sweep(model, TEXTS, LABELS, ["mean@1", "mean@6"], cv=2)
    assert re.fullmatch(
        r"Score\('mean@[16]': [01]\.\d{3} ± 0\.\d{3}, deepest layer [16], width 384\)", repr(found.best)
    )


@pytest.mark.parametrize("given", [5, {"mean@1": 1}, {"mean@1"}])
def test_features_are_a_list(model, given):
    with pytest.raises(InputError, match="features is a list or text; not"):
        ls.sweep(model, TEXTS, LABELS, given)
