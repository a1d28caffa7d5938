import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

import layerscope as ls
from layerscope.errors import InputError, ModelError

TEXTS = ["Because I could not stop for Death –", "He kindly stopped for me –", "Seeing is believing.", "👻"]


def by_hand(model, text):
    """The first seed's way, one text at a time, so that there is nothing to mask."""
    inputs = model.tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        output = model.hf(**inputs, output_hidden_states=True)
    pooled = [states[0].mean(0) for states in output.hidden_states]
    cosine = torch.nn.functional.cosine_similarity
    return (
        [cosine(pooled[0], layer, dim=0).item() for layer in pooled[1:]],
        [cosine(one, other, dim=0).item() for one, other in pairwise(pooled)],
        cosine(output.hidden_states[0][0, 0], output.pooler_output[0], dim=0).item(),
    )


def test_the_cosines_are_those_of_the_first_seed(model):
    found = ls.drift(model, TEXTS)
    static, previous, pooler = zip(*(by_hand(model, text) for text in TEXTS), strict=True)
    np.testing.assert_allclose(found.static, static, atol=1e-5)
    np.testing.assert_allclose(found.previous, previous, atol=1e-5)
    np.testing.assert_allclose(found.pooler, pooler, atol=1e-5)


def test_every_family(tiny, family):
    model = tiny(family)
    texts = ["Seeing is believing.", "A ghost of the first and the second one.", "a b"]
    found = ls.drift(model, texts)
    for text, static in zip(texts, found.static, strict=True):
        pooled = torch.from_numpy(
            np.stack([model.run(text).pool("mean", k) for k in range(model.num_layers + 1)])
        )
        expected = torch.nn.functional.cosine_similarity(pooled[:1], pooled[1:])
        np.testing.assert_allclose(static, expected, atol=1e-5)
    assert found.static.shape == found.previous.shape == (3, model.num_layers)


def test_a_poem_of_many_windows(tiny):
    model = tiny("bert")
    long = "a ghost of the first " * 60
    found = ls.drift(model, ["a ghost", long])
    trace = model.run(long)
    assert len(trace.windows) > 1
    pooled = torch.from_numpy(np.stack([trace.pool("mean", k) for k in range(model.num_layers + 1)]))
    np.testing.assert_allclose(
        found.static[1], torch.nn.functional.cosine_similarity(pooled[:1], pooled[1:]), atol=1e-5
    )


def test_of_several_windows_there_is_no_pooler_output(model):
    found = ls.drift(model, ["a ghost", "a ghost of the first " * 150])
    assert np.isfinite(found.pooler[0])
    assert np.isnan(found.pooler[1])
    assert np.isfinite(found.pooler_summary()["mean"]).all()
    with pytest.raises(
        InputError, match=r"Row 1 of the corpus: cls_0: The text passed in \d+ overlapping windows"
    ):
        ls.drift(model, ["a ghost", "a ghost of the first " * 150], pooling="cls")


def test_the_table_and_its_summary(model):
    found = ls.drift(
        model, pd.DataFrame({"title": ["one", "two"], "body": TEXTS[:2]}), text="body", id="title"
    )
    table = found.table()
    assert list(table.columns) == ["text", "layer", "static", "previous"]
    assert list(table["text"].unique()) == ["one", "two"]
    assert table.groupby("layer").size().tolist() == [2] * 6
    by_layer = table.groupby("layer")
    np.testing.assert_allclose(found.summary()["mean"], by_layer["static"].mean(), atol=1e-6)
    np.testing.assert_allclose(found.summary("previous")["50%"], by_layer["previous"].median(), atol=1e-6)
    np.testing.assert_allclose(found.static[:, 0], found.previous[:, 0], atol=1e-6)
    json.dumps(found.to_dict())


def test_many_texts_are_cut_into_blocks_and_stay_in_order(model):
    texts = [f"poem {number} of many" for number in range(4100)]
    found = ls.drift(model, texts)
    assert found.names == tuple(texts)
    for number in (0, 255, 256, 4095, 4096, 4099):
        np.testing.assert_allclose(
            found.static[number], ls.drift(model, [texts[number]]).static[0], atol=1e-5
        )


def test_without_a_pooler_there_is_none(tiny):
    found = ls.drift(tiny("gpt2"), ["a ghost", "the first"], pooling="last")
    assert found.pooler is None
    with pytest.raises(InputError, match="no trained pooler, or its tokenizer no"):
        found.pooler_summary()


def test_the_violins(model):
    found = ls.drift(model, TEXTS)
    for against, first in (("static", "1"), ("previous", "0→1")):
        ax = found.plot(against=against)
        assert ax.get_ylabel().startswith("cosine with the")
        assert ax.get_xticklabels()[0].get_text() == first
        medians = ax.lines[-1].get_ydata()
        np.testing.assert_allclose(medians, np.median(getattr(found, against), axis=0), atol=1e-6)
    assert found.plot(ax=ax) is ax


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        ([], {}, "There is nothing to compare: a list has no texts"),
        ([("a", "b")], {}, "Drift is of single texts; these are pairs"),
        (["a"], {"pooling": "words"}, "Unknown pooling 'words'; known: mean"),
        (
            ["a"],
            {"pooling": "pooler"},
            "Drift needs a pooling that every layer has, such as mean; not 'pooler'",
        ),
        (["a"], {"pooling": "men"}, "'men'.*mean"),
        (["a", None], {}, "Row 1 of the corpus: The text is NoneType None"),
    ],
)
def test_what_cannot_be(model, texts, options, message):
    with pytest.raises(InputError, match=message):
        ls.drift(model, texts, **options)


def test_no_cls_is_said(tiny):
    with pytest.raises(ModelError, match="Pooling 'cls' needs a classification token"):
        ls.drift(tiny("gpt2"), ["a"], pooling="cls")
    with pytest.raises(InputError, match=r"'layer'.*static"):
        ls.drift(tiny("bert"), ["a"]).summary("layer")
