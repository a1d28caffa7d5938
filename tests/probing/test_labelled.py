import numpy as np
import pandas as pd
import pytest

from layerscope.errors import InputError
from layerscope.probing.labelled import labelled

TABLE = pd.DataFrame({"text": ["a ghost", "the bank", "a river"], "kind": ["x", "y", "x"], "by": [1, 1, 2]})


def test_lists_columns_and_files_give_the_same(model, tmp_path):
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    for texts, labels, groups in (
        (list(TABLE["text"]), list(TABLE["kind"]), list(TABLE["by"])),
        (TABLE, "kind", "by"),
        (TABLE[["text"]], TABLE["kind"], TABLE["by"].to_numpy()),
    ):
        found = labelled(model, texts, labels, groups)
        assert found.unit == "text"
        assert found.labels.tolist() == ["x", "y", "x"]
        assert found.groups.tolist() == [1, 1, 2]
        assert found.num_texts == 3
    found = labelled(model, tmp_path / "t.csv", "kind", None, text="text")
    assert found.labels.tolist() == ["x", "y", "x"]
    assert found.groups is None


def test_words_of_a_text_are_a_group(model):
    found = labelled(model, [["mother's", "ghost"], [], ["bank"]], [["A", "B"], [], ["B"]], None)
    assert found.unit == "word"
    assert found.labels.tolist() == ["A", "B", "B"]
    assert found.groups.tolist() == [0, 0, 2]
    assert [len(tokens.words) for rows in found.rows for tokens in rows.texts] == [2, 1]


def test_groups_of_texts_hold_for_their_words(model):
    found = labelled(model, [["a", "b"], ["c"]], [["A", "B"], ["B"]], ["me", "you"])
    assert found.groups.tolist() == ["me", "me", "you"]


TREEBANK = """# text = Don't go.
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVB\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\tSpaceAfter=No
4\t.\t.\tPUNCT\t.\t_\t3\tpunct\t_\t_

"""


def test_a_treebank(model, tmp_path):
    (tmp_path / "t.conllu").write_text(TREEBANK)
    found = labelled(model, tmp_path / "t.conllu", "upos", None)
    assert found.labels.tolist() == ["AUX", "PART", "VERB", "PUNCT"]
    assert [word.text for word in found.rows[0].texts[0].words] == ["Do", "n't", "go", "."]
    assert labelled(model, str(tmp_path / "t.conllu"), "relation", None).labels.tolist() == [
        "aux", "advmod", "root", "punct",
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"'pos'.*upos"):
        labelled(model, tmp_path / "t.conllu", "pos", None)


@pytest.mark.parametrize(
    ("texts", "labels", "groups", "message"),
    [
        ([], [], None, "There is nothing to learn from: a list has no texts"),
        (["a", "b"], ["x"], None, "There are 2 texts and 1 label; each text needs one"),
        (["a", "b"], ["x", None], None, "The label of text 1 is missing"),
        (["a", "b"], [1.0, float("nan")], None, "The label of text 1 is missing .nan.; leave such rows out"),
        (["a", "b"], ["x", ""], None, "The label of text 1 is missing .''.; leave such rows out"),
        (["a", "b"], ["x", pd.NA], None, "The label of text 1 is missing .<NA>."),
        (["a", "b"], ["x", "y"], ["me", pd.NA], "The group of text 1 is missing"),
        (["a", "b"], None, None, "Give the labels: a list, or the name of their column"),
        (["a", "b"], [["x"], ["y"]], None, "The label of text 0 is list"),
        (["a", "b"], ["x", 1], None, "The labels are partly text and partly numbers"),
        (["a", "b"], ["x", ["y"]], None, "The label of text 1 is list; give text or a number"),
        (["a", "b"], {"x": 0, "y": 1}, None, "labels is a list, one for each text, .* not a dict of 2"),
        (["a", "b"], {"x", "y"}, None, "labels is a list.* not a set of 2"),
        (["a", "b"], b"xy", None, "labels is a list"),
        (["a", "b"], 5, None, "labels is a list, .* not 5"),
        (["a", "b"], pd.DataFrame({"x": [0, 1], "y": [0, 1]}), None, "labels is a list.* not a DataFrame"),
        (["a", "b"], np.array(["2020-01-01"] * 2, "M8[ns]"), None, "these are dates or times"),
        (["a", "b"], ["x", "y"], {"x": 0, "y": 1}, "groups is a list, one for each text"),
        (["a", "b"], ["p", "p "], None, "The labels 'p' and 'p ' look alike and are two"),
        (["a", "b"], ["p q", "p\u00a0q"], None, r"The labels 'p q' and 'p\\xa0q' look alike"),
        (["a", "b"], ["caf\u00e9", "cafe\u0301"], None, "look alike"),
        (["a", "b"], ["p", "\u200bp"], None, "look alike"),
        (["a", "b"], ["x", "y"], ["me", "me\n"], "The groups 'me' and 'me.n' look alike"),
        ([["a"], ["b"]], {0: ["x"], 1: ["y"]}, None, "labels is a list"),
        ([["a"], ["b"]], [{"x": 1}, ["y"]], None, "Text 0 has 1 word and no list of labels"),
        ([["a"], ["b"]], [["x"], ["y"]], 5, "groups is a list"),
        (["a", "b"], ["x", "y"], [1], "There are 2 texts and 1 group;"),
        ([["a"], ["b"]], [["x"]], None, "There are 2 texts and 1 lists of labels"),
        ([["a"], ["b", "c"]], [["x"], ["y"]], None, "Text 1 has 2 words and 1 of labels"),
        ([["a"], ["b"]], [["x"], "y"], None, "Text 1 has 1 word and no list of labels"),
        ([["a"], ["b"]], "kind", None, "Lists of words have no columns"),
        (TABLE, "sort", None, "'sort'.*kind"),
    ],
)
def test_what_does_not_fit(model, texts, labels, groups, message):
    with pytest.raises(InputError, match=message):
        labelled(model, texts, labels, groups)


def test_a_treebank_without_what_was_asked_for(model, tmp_path):
    (tmp_path / "t.conllu").write_text(TREEBANK.replace("\tRB", "\t_"))
    with pytest.raises(InputError, match='t.conllu, sentence 0: the word "n\'t" has no xpos'):
        labelled(model, tmp_path / "t.conllu", "xpos", None)
    with pytest.raises(InputError, match="Words have no columns: leave text= and pair= out"):
        labelled(model, tmp_path / "t.conllu", "upos", None, text="text")


def test_numbers_of_numpy_are_numbers(model):
    found = labelled(model, [["a", "b"], ["c"]], [np.array([1, 2]), np.array([1])], np.arange(2))
    assert found.labels.tolist() == [1, 2, 1]
    assert found.groups.tolist() == [0, 0, 1]


def test_numbers_stay_numbers(model):
    assert labelled(model, ["a", "b"], np.array([0.5, 1.5]), None).labels.dtype == np.float64
