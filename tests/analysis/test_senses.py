import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import silhouette_score
from sklearn.metrics.pairwise import cosine_similarity

import layerscope as ls
from layerscope.analysis import uses as uses_module
from layerscope.errors import InputError, ModelError

# Uppercase, two uses in one text, an emoji before, part of a longer word, and a text without it.
TEXTS = [
    "He sat on the bank of the river.",
    "A BANK lends what another bank has.",
    "Nothing of it here.",
    "👻👻 The bank's doors, the riverbank, my Bank!",
]
LABELS = ["shore", "money", "none", "money"]


def vectors_by_hand(model, text, places):
    """Plain transformers: the mean of the hidden states of the tokens that touch each place."""
    encoding = model.tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
    offsets = encoding.pop("offset_mapping")[0].tolist()
    with torch.no_grad():
        states = model.hf(**encoding, output_hidden_states=True).hidden_states
    return np.stack(
        [
            torch.stack(
                [
                    layer[0, [n for n, (a, b) in enumerate(offsets) if a < end and b > start]].mean(0)
                    for layer in states
                ]
            )
            for start, end in places
        ]
    )


def test_the_vectors_are_those_of_plain_transformers(model):
    assert model.tokenize("subword").strings[1:-1] == ("sub", "##word")
    found = ls.senses(model, "subword", ["Subword is a word.", "She is subword subword."])
    places = [(use.start, use.end) for use in found.uses]
    assert places == [(0, 7), (7, 14), (15, 22)]
    for row, own in ((0, slice(0, 1)), (1, slice(1, 3))):
        expected = vectors_by_hand(model, found.uses[own][0].text, places[own])
        np.testing.assert_allclose(found.vectors[own], expected, atol=1e-5)
        assert {use.row for use in found.uses[own]} == {row}


def test_every_occurrence_is_a_use(model):
    found = ls.senses(model, "bank", TEXTS, LABELS)
    assert [(use.row, use.text[use.start : use.end], use.label) for use in found.uses] == [
        (0, "bank", "shore"),
        (1, "bank", "money"),  # as written first, as Tokens.find has it
        (3, "bank", "money"),  # of "bank's"; "riverbank" is another word
    ]
    assert found.names == ("shore 1", "money 1", "money 2")
    assert found.texts_without == 1
    assert (found.uses_lost, found.layers, found.vectors.dtype) == (0, tuple(range(7)), np.float32)
    upper = ls.senses(model, "Bank", ["The BANK.", "a bank", "Bank"])
    assert len(upper.uses) == 3


def check_against_trace(model, word, texts):
    found = ls.senses(model, word, texts)
    assert found.vectors.shape == (len(found.uses), model.num_layers + 1, model.hidden_size)
    for use, vectors in zip(found.uses, found.vectors, strict=True):
        trace = model.run(use.text)
        for layer, vector in enumerate(vectors):
            expected = trace.vector((use.start, use.end), layer)
            np.testing.assert_allclose(vector, expected, atol=1e-5 * max(1, np.abs(expected).max()))
    return found


def test_every_family_gives_the_vectors_of_its_trace(tiny, family):
    """Pieces, spaces that belong to tokens, encoders of encoder-decoders, texts of two windows."""
    long = "the river " * 60 + "ghost"
    found = check_against_trace(tiny(family), "ghost", ["My ghosts' ghost, ghost", "👻 a ghost", long])
    assert [use.row for use in found.uses] == [0, 0, 1, 2]


def test_a_real_decoder(decoder):
    found = check_against_trace(
        decoder, "embracing", ["Embracing her, embracing him.", "Of embracing ghosts."]
    )
    assert len(found.uses) == 2


def test_the_table_is_what_scikit_learn_and_a_loop_say(model):
    samples, compared = ls.samples.table(), 0
    for word in ("bank", "spring", "seal"):
        own = samples[samples.word == word]
        found = ls.senses(model, word, samples, labels="sense", text="text")
        assert [use.text for use in found.uses] == list(own.text)
        table = found.table()
        for layer in found.layers:
            vectors = np.stack([model.run(text).vector(word, layer) for text in own.text])
            expected = silhouette_score(vectors.astype(np.float64), own.sense, metric="cosine")
            assert table.silhouette[layer] == pytest.approx(expected, abs=1e-4)
            cosines = cosine_similarity(vectors) - 2 * np.eye(len(own))
            nearest = own.sense.to_numpy()[cosines.argmax(axis=1)]
            closest = np.sort(cosines, axis=1)[:, -2:]
            if (closest[:, 1] - closest[:, 0]).min() > 1e-6:
                compared += 1
                assert table.accuracy[layer] == pytest.approx((nearest == own.sense.to_numpy()).mean())
        assert found.best == max(found.layers, key=lambda layer: table.silhouette[layer])
    assert compared > 15  # at layer 0 uses at the same place are equally near


def test_without_labels_the_cosines_by_layer(model):
    found = ls.senses(model, "bank", ls.samples.texts("bank"))
    upper = np.triu_indices(len(found.uses), 1)
    for layer, row in found.table().iterrows():
        cosines = cosine_similarity(found.vectors[:, layer])[upper]
        np.testing.assert_allclose(
            row[["mean", "min", "max"]], [cosines.mean(), cosines.min(), cosines.max()], atol=1e-5
        )
    np.testing.assert_allclose(found.similarity(3), cosine_similarity(found.vectors[:, 3]), atol=1e-5)
    assert list(found.similarity().index) == [f"use {n}" for n in range(1, 7)]
    with pytest.raises(InputError, match="only with labels="):
        _ = found.best


def test_equal_layers_the_lower_one(model):
    found = ls.senses(model, "bank", ls.samples.texts("bank"), list("aaabbb"))
    flat = type(found)(**vars(found) | {"vectors": np.repeat(found.vectors[:, 4:5], 7, axis=1)})
    assert flat.best == 0


def test_a_decoder_knows_nothing_at_layer_zero(tiny):
    """Without positions in the embeddings all uses are one vector; rounding must not tell them apart."""
    found = ls.senses(
        tiny("llama"), "ghost", ["a ghost", "my old ghost", "the ghost", "one ghost"], list("aabb")
    )
    assert found.table().loc[0].to_dict() == pytest.approx(
        {"silhouette": 0, "accuracy": 1 / 3, "within": 1, "between": 1}
    )


def test_only_texts_with_the_word_pass(model):
    passed = []
    model.sites()
    handle = model.hf.register_forward_pre_hook(lambda *_a, **inputs: passed.append(1), with_kwargs=False)
    try:
        ls.senses(model, "crane", ["no", "nothing"] * 3000 + ls.samples.texts("crane"))
    finally:
        handle.remove()
    assert len(passed) <= 4


def test_rows_in_the_order_of_the_corpus_whatever_the_blocks(model, monkeypatch):
    texts = [text for text in ls.samples.texts() for _ in range(2)]
    expected = ls.senses(model, "bank", texts)
    monkeypatch.setattr(uses_module, "ROWS", 5)
    found = ls.senses(model, "bank", iter(texts))
    assert found.uses == expected.uses
    assert [use.text for use in found.uses] == [texts[use.row] for use in found.uses]
    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-5)


def test_from_files_and_one_s_own_words(model, tmp_path):
    file = tmp_path / "sentences.csv"
    ls.samples.table().to_csv(file, index=False)
    found = ls.senses(model, "python", str(file), "sense", text="text")
    assert {use.label for use in found.uses} == {"snake", "language"}
    own = model.tokenize("the riverbank", words=[(0, 3), (9, 13)])
    assert [(u.row, u.start) for u in ls.senses(model, "bank", [own, "a bank"]).uses] == [(0, 9), (1, 2)]


def test_from_a_folder_of_features(model, tmp_path):
    samples = ls.samples.table()
    expected = ls.senses(model, "bank", samples, "sense", text="text")
    features = ls.extract(
        model, samples, tmp_path / "f", ["words@all"], text="text", keep=["sense"], part_rows=7
    )
    found = ls.senses(features, "bank", labels="sense")
    assert found.uses == expected.uses
    assert (found.layers, found.texts_without) == (expected.layers, expected.texts_without)
    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-5)
    listed = ls.senses(ls.open_features(tmp_path / "f"), "bank", labels=list(samples.sense))
    pd.testing.assert_frame_equal(listed.table(), found.table())
    assert ls.senses(features, "bank").table().columns.tolist() == ["mean", "min", "max"]


def test_a_folder_has_the_layers_that_it_has(model, tmp_path):
    texts = ["The bank's bank.", "A bank in New York, New York", "a bank" + " of it" * 400 + " bank"]
    features = ls.extract(
        model, texts, tmp_path / "f", ["mean@-1", "words@1", "words@-1"], long="cut", column_dtype="float16"
    )
    found = ls.senses(features, "bank")
    # "bank's" is one word, and what was cut has no vector.
    assert [(use.row, use.start) for use in found.uses] == [(0, 11), (1, 2), (2, 2)]
    assert (found.layers, found.uses_lost) == ((1, 6), 2)
    np.testing.assert_allclose(found.vectors[1, 1], model.run(texts[1]).vector("bank"), atol=2e-3)
    assert found.similarity(-1).equals(found.similarity(6))
    with pytest.raises(InputError, match="Layer 3 is not stored; there are 1, 6"):
        found.similarity(3)
    with pytest.raises(
        InputError, match="'New York' is there 2 times .* in a folder of features it must be one word"
    ):
        ls.senses(features, "New York")


def test_a_folder_without_words(model, tmp_path):
    features = ls.extract(model, TEXTS, tmp_path / "f", ["mean@-1"])
    with pytest.raises(InputError, match="no vectors of words, only mean_6; extract it with words@all"):
        ls.senses(features, "bank")
    with pytest.raises(InputError, match="have their own texts"):
        ls.senses(features, "bank", TEXTS)
    pairs = ls.extract(model, [("a bank", "b")], tmp_path / "p", ["words@-1"])
    with pytest.raises(InputError, match="of pairs"):
        ls.senses(pairs, "bank")


def test_what_does_not_fit_is_said(model):
    for word, texts, labels, message in (
        ("bnak", TEXTS, None, "'bnak' is in none of the 4 texts of a list. Near to it are: 'bank'"),
        ("river", TEXTS, None, "'river' is there only once, in row 0"),
        ("bank", [], None, "none of the 0 texts"),
        (" ", TEXTS, None, "The word is text"),
        ("bank", None, None, "Give the texts"),
        ("bank", [("a bank", "b")], None, "these are pairs"),
        ("bank", ["a bank", 3], None, "Row 1 of a list is int 3"),
        ("bank", TEXTS, ["a"], "There are 4 texts and 1 label;"),
        ("bank", iter(TEXTS), ["a"], "more texts than labels, 1"),
        ("bank", iter(TEXTS), list("abcde"), "There are 4 texts and 5 labels"),
        ("bank", TEXTS, ["a", "b", None, np.nan], "Row 3 of a list has the word, but no label"),
        ("bank", TEXTS, list("aaaa"), "All 3 uses of 'bank' have the label 'a'"),
        ("bank", TEXTS, ["p", "p ", "q", "p"], "The labels 'p' and 'p ' look alike"),
        ("bank", TEXTS, [1, "1", 2, 1], "The labels are partly text and partly numbers"),
        ("bank", TEXTS, {0: "a", 1: "b", 2: "c", 3: "d"}, "labels is a list, one for each text"),
        ("bank", TEXTS, set("abcd"), "labels is a list, one for each text"),
        ("zebra", ["a zero", "to brag", "February"], None, "in none of the 3 texts of a list.$"),
        ("colour", ["the Colors", "a color"], None, "Near to it are: 'color'.$"),
        ("bank", TEXTS, "sense", "no columns, so no 'sense'"),
    ):
        with pytest.raises(InputError, match=message):
            ls.senses(model, word, texts, labels)
    # A text without the word needs no label.
    assert len(ls.senses(model, "bank", TEXTS, ["a", "b", None, "b"]).uses) == 3


def test_where_each_use_has_its_own_label_they_are_compared_without_senses(model):
    found = ls.senses(model, "bank", TEXTS, list("abcd"))
    assert not found.is_labelled
    assert found.names == ("a 1", "b 1", "d 1")
    pd.testing.assert_frame_equal(found.table(), ls.senses(model, "bank", TEXTS).table())
    assert found.to_dict()["best"] is None
    assert found.to_dict()["uses"][2]["label"] == "d"
    assert len(found.plot().collections) == 1
    assert "senses" not in found.heat().get_title()
    with pytest.raises(InputError, match="only with labels= that several uses have"):
        found.best  # noqa: B018


def test_whole_numbers_of_a_column_with_gaps_are_whole(model):
    labels = pd.Series([1, 2, None, 1])
    assert labels.dtype == np.float64
    found = ls.senses(model, "bank", TEXTS, labels)
    assert [use.label for use in found.uses] == ["1", "2", "1"]


def test_a_model_that_gives_nan_is_not_believed(tiny_folder):
    broken = ls.load(tiny_folder("bert"), device="cpu")
    broken.sites()
    with torch.no_grad():
        broken.hf.get_input_embeddings().weight.fill_(float("nan"))
    with pytest.raises(
        ModelError, match="Row 0 of a list: 'ghost' holds NaN or infinity, which the model gave"
    ):
        ls.senses(broken, "ghost", ["a ghost", "the ghost"])


def test_as_plain_values_and_as_figures(model):
    found = ls.senses(model, "bank", ls.samples.texts("bank"), ["river"] * 3 + ["money"] * 3)
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["uses"][0] == {
        "name": "river 1",
        "row": 0,
        "text": ls.samples.texts("bank")[0],
        "start": 25,
        "end": 29,
        "label": "river",
    }
    assert (plain["best"], plain["texts_without"], len(plain["layers"])) == (found.best, 0, 7)
    assert found.contexts().context["money 2"] == "The [bank] refused the lo…"
    np.testing.assert_allclose(found.plot().lines[0].get_ydata(), found.table().silhouette)
    heat = found.heat()
    assert [text.get_text() for text in heat.get_yticklabels()] == [
        f"{s} {n}" for s in ("money", "river") for n in (1, 2, 3)
    ]
    expected = found.similarity(found.best).loc["money 1", "river 1"]
    assert heat.texts[3].get_text() == f"{expected:.2f}"
    assert "layer 2" in " ".join(found.heat(layer=2).get_title().split())
    (low, high), least = heat.collections[0].get_clim(), found.similarity(found.best).to_numpy().min()
    assert least - 0.1 < low <= least
    assert high == 1
    bare = ls.senses(model, "bank", ls.samples.texts("bank"))
    assert len(bare.plot().collections) == 1
    assert "layer 6" in " ".join(bare.heat().get_title().split())
    many = ls.senses(model, "bank", ["bank " * 61])
    with pytest.raises(InputError, match="room for 60 uses; there are 61"):
        many.heat()
