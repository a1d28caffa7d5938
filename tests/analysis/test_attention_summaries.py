import json

import numpy as np
import pytest
import scipy.stats
from transformers import AutoModel, AutoTokenizer

import layerscope as ls
import oracle
from layerscope.errors import InputError, ModelError
from layerscope.loading.bundled import bundled_folder
from layerscope.reduce.heads import MEASURES

TEXT = "Then I tried to find some way of embracing my mother's ghost."
TEXTS = [TEXT, "Hi!", "The bank of the river was steep and green, and nobody walked there."]


@pytest.fixture(scope="module")
def plain():
    """The bundled model by transformers alone: the tokens and the attentions [layer, head, query, key] of a text."""
    folder = bundled_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

    def run(text):
        inputs = tokenizer(text, return_tensors="pt")
        attentions = network(**inputs, output_attentions=True).attentions
        strings = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
        return strings, np.stack([layer[0].detach().numpy() for layer in attentions])

    return run


def test_tokens_equal_the_first_seed(model, plain):
    """All heads of a layer, first and last token dropped, their maximum, and of each row the largest."""
    strings, attentions = plain(TEXT)
    table = ls.partners(model.run(TEXT, attention=True), unit="token").table()
    for layer, heads in enumerate(attentions, start=1):
        inner = heads[:, 1:-1, 1:-1].max(axis=0)
        own = table[table["layer"] == layer]
        assert list(own["from"]) == [one.removeprefix("##") for one in strings[1:-1]]
        assert list(own["to_position"]) == [int(row.argmax()) + 1 for row in inner]
        assert list(own["to"]) == [strings[row.argmax() + 1] for row in inner]
        np.testing.assert_allclose(own["weight"], inner.max(axis=1), atol=1e-5)


def test_words_equal_a_loop(model, plain):
    """To a split word the sum, from it the mean, then the strongest head, then the best word."""
    strings, attentions = plain(TEXT)
    pieces = [[i] for i in range(1, 11)] + [[11, 12, 13], [14], [15]]
    assert [strings[i] for i in pieces[10]] == ["mother", "'", "s"]
    table = ls.partners(model.run(TEXT, attention=True)).table()
    for layer, heads in enumerate(attentions, start=1):
        own = table[table["layer"] == layer]
        assert list(own["position"]) == list(range(1, 14))
        for row, queries in zip(own.itertuples(index=False), pieces, strict=True):
            weights = [
                max(np.mean([sum(head[q, k] for k in keys) for q in queries]) for head in heads)
                for keys in pieces
            ]
            assert row.to_position == np.argmax(weights) + 1
            assert row.weight == pytest.approx(max(weights), abs=1e-5)


def test_one_head_the_mean_and_special_tokens(model, plain):
    _, attentions = plain(TEXT)
    trace = model.run(TEXT, attention=True)
    for head, expected in ((4, attentions[:, 4]), (-1, attentions[:, -1]), ("mean", attentions.mean(axis=1))):
        table = ls.partners(trace, "token", head, specials=True).table()
        np.testing.assert_array_equal(table["to_position"], expected.argmax(axis=-1).reshape(-1))
        np.testing.assert_allclose(table["weight"], expected.max(axis=-1).reshape(-1), atol=1e-5)
        assert table["to"].eq("[CLS]").any()


def test_words_that_are_there_twice_are_told_apart(model):
    table = ls.partners(model.run("The cat saw the cat.", attention=True, layers=[0, 2])).table()
    assert set(table["layer"]) == {2}
    assert list(table["position"]) == [1, 2, 3, 4, 5, 6]
    assert list(table["from"]) == ["The", "cat", "saw", "the", "cat", "."]


def test_words_that_share_a_token_are_told_apart(model):
    tokens = model.tokenize("don't go", words=[(0, 2), (2, 5), (6, 8)])
    assert tokens.strings == ("[CLS]", "don", "'", "t", "go", "[SEP]")
    trace = model.run(tokens, attention=True, layers=1)
    table, words = ls.partners(trace, head=3).table(), trace.attention(1, 3, "word")
    assert list(table["position"]) == [1, 2, 3]
    assert list(table["from"]) == ["do", "n't", "go"]
    for row in table.itertuples():
        assert row.to_position == words.iloc[row.position, 1:4].argmax() + 1
        assert row.weight == words.iloc[row.position, row.to_position]


@pytest.mark.parametrize(("family", "first"), [("gpt2", 1), ("llama", 1), ("bert", 1), ("t5", 0)])
def test_the_first_token_of_a_decoder_is_set_apart(tiny, family, first):
    """GPT-2 has no special token there, Llama has <s>, BERT [CLS]; T5 has none, and its encoder is not causal."""
    trace = tiny(family).run("the bank of the river", attention=True)
    table = ls.partners(trace, unit="token").table()
    assert table["position"].min() == first
    assert not (table["to_position"] < first).any()
    assert ls.partners(trace, unit="token", specials=True).table()["position"].min() == 0


@pytest.mark.parametrize("family", ["gpt2", "t5", "bart", "bert"])
@pytest.mark.parametrize("text", ["", " \n", "word", "我去银行 🙂"])
def test_partners_of_any_text(tiny, family, text):
    found = ls.partners(tiny(family).run(text, attention=True))
    assert list(found.table().columns) == ["layer", "position", "from", "to_position", "to", "weight"]
    json.dumps(found.to_dict())


def test_all_heads_of_a_layer(model, plain):
    _, attentions = plain(TEXT)
    trace = model.run(TEXT, attention=True, layers=[3, 6])
    found = ls.attention(trace, layer=-4)
    assert found.layer == 3
    np.testing.assert_allclose(found.weights, attentions[2], atol=1e-5)
    rows = found.table()
    np.testing.assert_array_equal(rows["weight"].to_numpy().reshape(attentions[2].shape), found.weights)
    one = rows.query("head == 4 and query_position == 2 and key_position == 0").iloc[0]
    assert (one["query"], one["key"], one["weight"]) == ("i", "[CLS]", found.weights[4, 2, 0])
    words = ls.attention(trace, layer=6, unit="word")
    assert words.labels[11] == "mother's"
    np.testing.assert_array_equal(words.weights[9], trace.attention(6, 9, unit="word"))
    np.testing.assert_allclose(words.weights.sum(axis=-1), 1, atol=1e-5)
    assert np.array(found.to_dict()["weights"]).shape == (12, 17, 17)


def by_hand(rows, special):
    """The mean of each measure over the tokens that are not special, of one head."""
    places = np.arange(len(special))
    found = []
    for query in places[~special]:
        row = rows[query]
        found.append(
            [
                scipy.stats.entropy(row),
                (row * abs(places - query)).sum(),
                row[special].sum(),
                row[0],
                row[query],
                row[query - 1] if query else 0,
                row[query + 1] if query + 1 < len(row) else 0,
            ]
        )
    return np.sum(found, axis=0), len(found)


def test_measures_of_many_texts_are_weighted_by_their_tokens(model, plain):
    found = ls.heads(model, TEXTS)
    sums, counts = np.zeros((6, 12, len(MEASURES))), 0
    for text in TEXTS:
        strings, attentions = plain(text)
        special = np.array([one in ("[CLS]", "[SEP]") for one in strings])
        for layer in range(6):
            for head in range(12):
                own, count = by_hand(attentions[layer, head], special)
                sums[layer, head] += own
        counts += count
    assert (found.texts, found.queries) == (3, counts)
    np.testing.assert_allclose(found.values, np.moveaxis(sums / counts, -1, 0), atol=1e-5)
    row = found.table().query("layer == 2 and head == 8").iloc[0]
    assert list(row.index) == ["layer", "head", *MEASURES]
    assert row["next"] == pytest.approx(sums[1, 8, -1] / counts, abs=1e-5)
    assert json.loads(json.dumps(found.to_dict()))["heads"][20]["next"] == pytest.approx(row["next"])


def test_measures_of_every_family(family, tiny, tiny_folder):
    model = tiny(family)
    attentions = oracle.plain(tiny_folder(family), family, TEXT)["attentions"]
    special = model.tokenize(TEXT).special_mask
    found = ls.heads(model, [TEXT])
    for layer, head in np.ndindex(*attentions.shape[:2]):
        own, count = by_hand(attentions[layer, head].astype(np.float64), special)
        np.testing.assert_allclose(found.values[:, layer, head], own / count, atol=2e-5)


def test_texts_pass_in_turn(model, monkeypatch):
    expected = ls.heads(model, TEXTS).values
    passes = []
    handle = model.hf.register_forward_pre_hook(lambda *_: passes.append(1))
    monkeypatch.setattr("layerscope.analysis.attention._NUMBERS", 1)
    try:
        np.testing.assert_allclose(ls.heads(model, TEXTS).values, expected, atol=1e-5)
    finally:
        handle.remove()
    assert len(passes) == len(TEXTS)


def test_the_head_that_looks_back(model):
    """Head 2 of layer 1 attends to the token before whatever stands there."""
    table = ls.heads(model, TEXTS).table().set_index(["layer", "head"])
    assert table["previous"].idxmax() == (1, 2)
    assert table.loc[(1, 2), "previous"] > 0.99
    assert table.loc[(1, 2), "distance"] == pytest.approx(1, abs=0.01)


def test_pairs_files_and_what_is_cut(model, tmp_path):
    pair = ls.heads(model, [(TEXT, "What did I do then?")])
    assert pair.queries == 15 + 6
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS))
    np.testing.assert_allclose(ls.heads(model, path).values, ls.heads(model, TEXTS).values, atol=1e-5)
    assert ls.heads(model, ["a " * 600], long="cut").queries == 510


def test_errors(model):
    with pytest.raises(InputError, match="must fit"):
        ls.heads(model, ["a " * 600])
    with pytest.raises(InputError, match="Text 1 is NoneType None"):
        ls.heads(model, ["Hi!", None])
    with pytest.raises(InputError, match="nothing to measure"):
        ls.heads(model, ["", " "])
    with pytest.raises(InputError, match="nothing to measure"):
        ls.heads(model, [])
    with pytest.raises(InputError, match="Unknown measure 'entropie'.*Did you mean 'entropy'"):
        ls.heads(model, ["Hi!"]).plot(measure="entropie")
    trace = model.run(TEXT, attention=True)
    with pytest.raises(InputError, match="known: token, word"):
        ls.partners(trace, unit="letter")
    with pytest.raises(InputError, match="heads 0 to 11"):
        ls.partners(trace, head=12)
    with pytest.raises(InputError, match="Layer 0 is the embedding output"):
        ls.attention(trace, layer=0)
    with pytest.raises(ModelError, match="run with attention=True"):
        ls.partners(model.run(TEXT))
    with pytest.raises(ModelError, match="run with attention=True"):
        ls.attention(model.run(TEXT))
