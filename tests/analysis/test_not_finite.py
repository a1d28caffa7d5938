"""A model that gives NaN for one word: no answer hands it out in silence."""

import numpy as np
import pytest
import torch

import layerscope as ls
from layerscope.analysis.look import look
from layerscope.errors import ModelError

GOOD, BAD = "the ghost", "the bank"


@pytest.fixture(scope="module")
def broken(tiny_folder):
    """One whose embedding of "bank" is NaN."""
    model = ls.load(tiny_folder("bert"), device="cpu")
    model.sites(), model.sites(attention=True)
    (token,) = model.tokenize("bank").ids[1:-1]
    with torch.no_grad():
        model.hf.get_input_embeddings().weight[token] = float("nan")
    return model


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda m: ls.similarity(m, [GOOD, BAD]), "Row 1 of the texts: mean_"),
        (lambda m: ls.similarity(m, GOOD, [GOOD, BAD]), "Row 1 of the texts: mean_"),
        (lambda m: ls.similarity(m, GOOD, BAD, unit="word", layer=0), "The vector of 'bank', number 1,"),
        (lambda m: ls.similarity(m, BAD, unit="token", layer=0), "The vector of 'bank', number 2,"),
        (lambda m: ls.compare(m, GOOD, BAD), "The vector of 'the bank', number 1,"),
        (lambda m: ls.drift(m, [GOOD, BAD]), "Row 1 of the corpus: mean_"),
        (lambda m: ls.senses(m, "bank", [BAD, BAD]), "Row 0 of a list: 'bank'"),
        (lambda m: look(m, BAD), "Layer 0 of "),
        (lambda m: ls.embedding_parts(m, BAD), "Layer 0 of token 'bank'"),
        (lambda m: ls.partners(m.run(BAD, attention=True)), "The attention of "),
        (lambda m: ls.attention(m.run(BAD, attention=True), 2), "The attention of layer 2, head 0,"),
        (lambda m: ls.heads(m, [GOOD, BAD]), "The attention of text 1, layer 1,"),
        (lambda m: ls.LayerFeatures("mean@1", m).transform([GOOD, BAD]), "Row 1 of the corpus: mean_1"),
        (lambda m: ls.sweep(m, [GOOD, BAD] * 4, list("ab") * 4, "mean@1", cv=2), "Row 1 of the corpus: mean_1"),
    ],
    ids=[
        "texts", "b", "words", "tokens", "compare", "drift", "senses", "look", "embeddings", "partners", "attention",
        "heads", "LayerFeatures", "sweep",
    ],
)  # fmt: skip
def test_what_holds_it_is_named(broken, ask, says):
    with pytest.raises(ModelError, match=f"^{says}.*holds NaN or infinity, which the model gave"):
        ask(broken)


def test_what_does_not_hold_it_is_answered(broken):
    assert np.isfinite(ls.similarity(broken, GOOD, unit="word").cosines).all()
    assert len(look(broken, GOOD).tokens) == 4


def test_a_pooler_that_gives_it_is_named(tiny_folder):
    model = ls.load(tiny_folder("bert"), device="cpu")
    model.sites()
    with torch.no_grad():
        model.hf.base_model.pooler.dense.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="Row 0 of the corpus: the pooler output holds NaN or infinity"):
        ls.drift(model, [GOOD])
