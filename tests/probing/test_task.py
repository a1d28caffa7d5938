import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerscope.errors import InputError
from layerscope.probing.task import Task


def test_what_labels_make_by_themselves():
    assert Task.of(np.array(["a", "b"] * 5), None).name == "classify"
    assert Task.of(np.array([1, 2] * 5), None).name == "classify"
    assert Task.of(np.array([1.0, 2.0] * 5), None).name == "classify"
    found = Task.of(np.array([1.5, 2.0] * 5), None)
    assert (found.name, found.scoring) == ("regress", "r2")
    assert Task.of(np.array(["1.5", "2"] * 5), None, name="regress").labels.tolist() == [1.5, 2.0] * 5
    assert (
        Task.of(np.array(["1.1", "1.10"] * 5), None, name="classify").labels.tolist() == ["1.1", "1.10"] * 5
    )
    assert Task.of(np.array(["1", "2"] * 5), None).name == "classify"
    assert Task.of(np.array(["a", "b"] * 5), None, cv=np.int64(3), scoring="f1_macro").scoring == "f1_macro"
    assert Task.of(np.array(["1", "2"] * 5), None, name="regress").labels.tolist() == [1.0, 2.0] * 5


@given(st.integers(2, 5), st.integers(0, 5), st.booleans())
def test_folds_divide_the_examples_and_keep_groups_together(folds, seed, is_grouped):
    random = np.random.default_rng(seed)
    labels = np.array(["a", "b", "c"] * 20)
    groups = random.integers(0, 12, size=60) if is_grouped else None
    task = Task.of(labels, groups, cv=folds, seed=seed)
    assert sorted(np.concatenate([test for _, test in task.folds])) == list(range(60))
    for train, test in task.folds:
        assert not set(train) & set(test)
        if groups is not None:
            assert not set(groups[train]) & set(groups[test])
        else:
            _, counts = np.unique(labels[test], return_counts=True)
            assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (["a"] * 9, {}, "All 9 labels are a: there is nothing to tell apart"),
        ([0.5] * 9, {"name": "regress"}, "All 9 labels are 0.5"),
        (
            ["a"] * 9 + ["b"] * 3,
            {},
            "The class 'b' has 3 examples, fewer than the 5 folds; give a smaller cv=",
        ),
        (
            ["1", "2", "3"] * 2,
            {},
            "If the labels are numbers to predict, say task='regress'",
        ),
        (["1.1", "1.10"] * 9, {}, "numbers that are written as text, such as '1.1': say task='regress'"),
        ([0.5, 1.5], {}, "There are 2 examples, fewer than the 5 folds"),
        (["a", "b"] * 9, {"cv": 1}, "cv is a whole number, at least 2; not 1"),
        (["a", "b"] * 9, {"name": "rank"}, "'rank'.*classify"),
        (["a", "b"] * 9, {"scoring": "acuracy"}, "'acuracy'.*accuracy"),
        (["a", "b"] * 9, {"scoring": "foo"}, "^Unknown scoring 'foo'; known: accuracy, .{,400} more.$"),
        ([0.5] * 23 + [0.6], {}, "23 of the 24 labels are 0.5: what one fold learns from has one label only"),
        (["a", "b"] * 9, {"name": "regress"}, "To regress, labels are numbers"),
        ([0.5, np.inf] * 9, {"name": "regress"}, "To regress, labels are numbers; some of these are not"),
        (["a", "b"] * 9, {"seed": -1}, "seed is a whole number, at least 0; not -1"),
        (["a", "b"] * 9, {"groups": [0] * 9 + [1] * 9}, "There are 2 groups, fewer than the 5 folds"),
        (
            ["a"] * 6 + ["b"] * 6,
            {"groups": [0] * 6 + [1] * 6, "cv": 2},
            "The groups are too few to divide",
        ),
    ],
)
def test_what_cannot_be(labels, options, message):
    groups = options.pop("groups", None)
    with pytest.raises(InputError, match=message):
        Task.of(np.array(labels), None if groups is None else np.array(groups), **options)
