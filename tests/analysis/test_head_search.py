import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

import layerscope as ls
import oracle
from layerscope.corpus.conllu import Sentence
from layerscope.errors import InputError, ModelError

FROM_DEPENDENT, FROM_HEAD = 0, 1


def sentence(text, *arcs, shared=()):
    """A sentence of words divided by spaces; arcs are "head:relation", the head from 1, or 0 for the root.

    A number in `shared` says that this word, from 1, is written as one with the word before.
    """
    ranges, end = [], 0
    for number, form in enumerate(text.split(), start=1):
        if number in shared:
            ranges.append(ranges[-1])
            continue
        start = end + bool(ranges)
        end = start + len(form)
        ranges.append((start, end))
    forms = [form for number, form in enumerate(text.split(), start=1) if number not in shared]
    heads, relations = zip(*(arc.split(":", 1) for arc in arcs), strict=True)
    none = ("_",) * len(arcs)
    return Sentence(
        " ".join(forms),
        tuple(ranges),
        tuple(text.split()),
        none,
        none,
        tuple(int(head) - 1 for head in heads),
        relations,
    )


BANK = sentence(
    "the bank of this river was steep", "2:det", "7:nsubj", "5:case", "5:det", "2:nmod", "7:cop", "0:root"
)
GHOST = sentence(
    "then I tried embracing my mother", "3:advmod", "3:nsubj", "0:root", "3:xcomp", "6:nmod:poss", "4:obj"
)
# "du" and "le" are written "du"; here one depends on the other, as no treebank would have it.
DU = sentence("he saw du le cat", "2:nsubj", "0:root", "5:case", "3:fixed", "2:obj", shared=(4,))
TREEBANK = [BANK, GHOST, DU, BANK]


def by_hand(folder, family, sentences, is_causal):
    """Dependents and hits, counted one by one from the attentions of plain transformers.

    (direction, relation) → how many were asked; (direction, relation, layer, head) → how often right;
    (direction, relation, offset) → how often the head word stands there.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder)
    asked, right, at = Counter(), Counter(), Counter()
    for one in sentences:
        encoded = tokenizer(one.text, return_offsets_mapping=True, return_special_tokens_mask=True)
        # A piece that is white space alone ("▁") is no word's.
        special = np.array(encoded["special_tokens_mask"], dtype=bool)
        special |= np.array([piece == "▁" for piece in encoded.tokens()])
        places = list(dict.fromkeys(one.words))
        pieces = [
            [
                token
                for token, (a, b) in enumerate(encoded["offset_mapping"])
                if not special[token] and a < end and b > start
            ]
            for start, end in places
        ]
        assert sorted(token for own in pieces for token in own) == list(np.flatnonzero(~special))
        attentions = oracle.plain(folder, family, one.text)["attentions"].astype(np.float64)
        candidates = [w for w in range(len(places)) if not (is_causal and 0 in pieces[w])]
        for number, head_number in enumerate(one.heads):
            if head_number < 0:
                continue
            relation = one.relations[number]
            dependent, head_word = places.index(one.words[number]), places.index(one.words[head_number])
            if dependent == head_word or not {dependent, head_word} <= set(candidates):
                continue
            for direction in (FROM_DEPENDENT, FROM_HEAD):
                from_, to = (dependent, head_word) if direction == FROM_DEPENDENT else (head_word, dependent)
                if is_causal and to > from_:
                    continue
                asked[direction, relation] += 1
                at[direction, relation, head_word - dependent] += 1
                for layer, head in np.ndindex(*attentions.shape[:2]):

                    def weight(query, key, rows=attentions[layer, head], pieces=pieces):
                        return np.mean([sum(rows[q, k] for k in pieces[key]) for q in pieces[query]])

                    others = [word for word in candidates if word != dependent]
                    weights = [
                        weight(dependent, word) if direction == FROM_DEPENDENT else weight(word, dependent)
                        for word in others
                    ]
                    right[direction, relation, layer, head] += others[int(np.argmax(weights))] == head_word
    return asked, right, at


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "llama", "t5"])
def test_every_head_and_relation_equals_a_loop(tiny, tiny_folder, family):
    model = tiny(family)
    is_causal = model.kind == "decoder"
    asked, right, at = by_hand(tiny_folder(family), family, TREEBANK, is_causal)
    found = ls.head_search(model, TREEBANK, minimum=1)
    compared = 0
    for (direction, relation), count in asked.items():
        number = found.relations.index(relation)
        assert found.counts[direction, number] == count
        best = max(value for (d, r, _), value in at.items() if (d, r) == (direction, relation))
        assert found.baseline[direction, number] == pytest.approx(best / count)
        assert at[direction, relation, found.offsets[direction, number]] == best
        for layer, head in np.ndindex(3, 4):
            expected = right[direction, relation, layer, head] / count
            assert found.accuracy[direction, number, layer, head] == pytest.approx(expected)
            compared += expected > 0
    assert compared > 40
    assert found.counts[:, 1:].sum() == sum(asked.values())
    for direction in (FROM_DEPENDENT, FROM_HEAD):
        total = sum(asked[direction, relation] for relation in found.relations)
        hits = sum(right[direction, relation, 1, 2] for relation in found.relations)
        assert found.counts[direction, 0] == total
        assert found.accuracy[direction, 0, 1, 2] == pytest.approx(hits / total)


def test_a_treebank_whose_answer_is_known(model):
    """Head 2 of the bundled model's layer 1 attends to the token before, and so finds what stands before."""
    words = "red green blue black white big small old new long"
    before = sentence(words, "0:root", *(f"{number}:back" for number in range(1, 10)))
    after = sentence(words, *(f"{number}:ahead" for number in range(2, 11)), "0:root")
    found = ls.head_search(model, [before, before, after, after], minimum=18)
    assert found.relations == ("all", "ahead", "back")
    assert found.total.tolist() == [36, 18, 18]
    row = found.head(1, 2).set_index(["relation", "direction"])["accuracy"]
    assert row["back", "from dependent"] == 1
    assert row["ahead", "from head word"] == 1
    assert row["back", "from head word"] == 0
    assert row["all", "from dependent"] == 0.5
    best = found.table().set_index("relation")
    assert best.loc["back", "accuracy"] == best.loc["back", "baseline"] == 1
    assert best.loc[["back", "ahead"], "offset"].tolist() == [-1, 1]


def test_the_best_head_is_the_one_that_is_right_most_often(model):
    found = ls.head_search(model, TREEBANK, minimum=2)
    for row in found.table().itertuples():
        number = found.relations.index(row.relation)
        assert row.accuracy == found.accuracy[:, number].max()
        assert found.accuracies(row.relation, row.direction).loc[row.layer, row.head] == row.accuracy
        assert found.best(row.relation)["head"] == row.head
    ordered = found.head(3, 8)["accuracy"]
    assert ordered.is_monotonic_decreasing
    assert len(ordered) == 2 * len(found.relations)


def test_the_best_head_of_a_causal_model_is_not_that_of_a_few_dependents(tiny):
    """Directions differ in how many dependents can be asked about; one of one is less than two of three."""
    found = ls.head_search(tiny("gpt2"), TREEBANK, minimum=1)
    right = np.nan_to_num(found.accuracy * found.counts[..., None, None])
    best = found.table()
    np.testing.assert_allclose(best["accuracy"] * best["count"], right.max(axis=(0, 2, 3)))
    assert (np.diff(found.total[1:]) <= 0).all()
    assert found.total[1] > found.total[-1]
    few = replace(
        found,
        relations=("all",),
        counts=np.array([[1], [3]]),
        accuracy=np.array([[[[1.0, 0.0]]], [[[1 / 3, 2 / 3]]]]),
    )
    assert (few.best("all")["direction"], few.best("all")["head"]) == ("from head word", 1)


def test_what_a_causal_model_is_not_asked(tiny):
    found = ls.head_search(tiny("gpt2"), [BANK], minimum=1)
    counts = dict(zip(found.relations, found.counts.T.tolist(), strict=True))
    # the→bank is not asked about: "the" comes first, where attention goes that is not needed.
    assert counts["det"] == [0, 1]
    assert counts["nmod"] == [1, 0]
    assert counts["nsubj"] == [0, 1]
    assert counts["all"] == [1, 4]
    assert found.total.tolist()[0] == 6
    assert np.isnan(found.accuracy[FROM_DEPENDENT, found.relations.index("nsubj")]).all()
    assert found.best("nsubj")["direction"] == "from head word"
    assert any("attend to earlier words only" in note for note in found.notes)
    assert ls.head_search(tiny("bert"), [BANK], minimum=1).notes == ()


def test_words_of_one_surface_token(tiny):
    """They share its attention, and what lies within it is not asked about."""
    found = ls.head_search(tiny("bert"), [DU], minimum=1)
    assert found.relations == ("all", "case", "nsubj", "obj")
    assert (found.rare, found.total[0]) == (1, 4)
    assert found.offsets[0].tolist()[1:] == [1, 1, -2]


def test_a_real_decoder(decoder):
    found = ls.head_search(decoder, [BANK, GHOST] * 2, minimum=2)
    row = found.table().set_index("relation").loc["nmod"]
    assert (row["count"], row["direction"], row["offset"]) == (2, "from dependent", -3)
    assert found.accuracy.shape == (2, len(found.relations), 30, 9)


def test_rare_relations_limit_and_what_is_too_long(tiny, model):
    found = ls.head_search(model, TREEBANK, minimum=4)
    assert found.relations == ("all", "det", "nsubj")
    assert found.rare == 8
    assert found.notes == ("8 relations with fewer than 4 dependents are left out.",)
    assert ls.head_search(model, TREEBANK, minimum=1, limit=1).total[0] == 6
    long = sentence(" ".join(["bank"] * 70), "0:root", *["1:conj"] * 69)
    found = ls.head_search(tiny("bert"), [long, BANK, long], minimum=1)
    assert (found.sentences, found.too_long) == (1, 2)
    assert "conj" not in found.relations
    assert found.notes == ("2 sentences do not fit the context window and are left out.",)


def test_a_file_and_sentences_are_the_same(model, tmp_path):
    path = tmp_path / "bank.conllu"
    rows = zip(BANK.forms, BANK.heads, BANK.relations, strict=True)
    path.write_text(
        "".join(
            f"{n}\t{form}\t_\t_\t_\t_\t{head + 1}\t{relation}\t_\t_\n"
            for n, (form, head, relation) in enumerate(rows, 1)
        )
    )
    found, expected = ls.head_search(model, path, minimum=1), ls.head_search(model, [BANK], minimum=1)
    np.testing.assert_array_equal(found.accuracy, expected.accuracy)
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["best"][0]["relation"] == "all"
    np.testing.assert_array_equal(plain["accuracy"], expected.accuracy)


def test_sentences_pass_in_turn(model, monkeypatch):
    expected = ls.head_search(model, TREEBANK, minimum=1).accuracy
    monkeypatch.setattr("layerscope.analysis.attention._NUMBERS", 1)
    np.testing.assert_array_equal(ls.head_search(model, TREEBANK, minimum=1).accuracy, expected)


def test_errors(model, tmp_path):
    with pytest.raises(InputError, match="No relation has 20 dependents in 4 sentences"):
        ls.head_search(model, TREEBANK)
    with pytest.raises(InputError, match="No relation has 1 dependent in 0 sentences"):
        ls.head_search(model, [], minimum=1)
    with pytest.raises(InputError, match="minimum is a whole number, at least 1; not 0"):
        ls.head_search(model, TREEBANK, minimum=0)
    with pytest.raises(InputError, match="nope.conllu cannot be read"):
        ls.head_search(model, tmp_path / "nope.conllu")
    found = ls.head_search(model, TREEBANK, minimum=4)
    with pytest.raises(InputError, match="Unknown relation 'subj'; known: all, det, nsubj.*'nsubj'"):
        found.best("subj")
    with pytest.raises(InputError, match="known: from dependent, from head word"):
        found.plot(relation="det", direction="left")
    with pytest.raises(InputError, match="layers are 1 to 6, heads 0 to 11"):
        found.head(0, 1)


def test_attention_that_is_no_number(tiny_folder):
    model = ls.load(tiny_folder("bert"), device="cpu")
    model.sites(attention=True)
    with torch.no_grad():
        model.hf.bert.encoder.layer[1].attention.self.query.bias.fill_(float("nan"))
    with pytest.raises(ModelError, match="is no number"):
        ls.head_search(model, [BANK], minimum=1)
