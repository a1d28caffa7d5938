import numpy as np
import pyarrow as pa
import pytest
import torch

import layerscope as ls
from layerscope.corpus.corpus import open_corpus
from layerscope.corpus.rows import Rows
from layerscope.engine.stream import stream
from layerscope.errors import InputError, ModelError
from layerscope.reduce.feature import Feature

TEXTS = ["Seeing is believing.", "A ghost.", "Then I tried to find some way of embracing my mother's ghost."]


def of(model, texts, *features, size=2, **options):
    rows = open_corpus(texts).chunks(size)
    return list(stream(model, rows, [Feature.parse(feature) for feature in features], **options))


def test_the_cells_are_those_of_single_runs(model):
    blocks = of(model, TEXTS, "mean@all", "words@3")
    assert [len(block.rows) for block in blocks] == [2, 1]
    means = np.concatenate([block.values("mean_2") for block in blocks])
    words = [cell for block in blocks for cell in block.columns["words_3"].values]
    for text, mean, own in zip(TEXTS, means, words, strict=True):
        trace = model.run(text)
        np.testing.assert_allclose(mean, trace.pool("mean", 2), atol=1e-5)
        np.testing.assert_allclose(own, trace.word_vectors(3), atol=1e-5)


def test_own_words_stay(model):
    own = model.tokenize(words=["mother's", "ghost"])
    (block,) = stream(model, [Rows(0, [own], None, pa.table({}))], [Feature("words")])
    assert block.columns["words_6"].values[0].shape == (2, 384)
    assert block.tokens[0] is own


def test_what_passes_is_told(model):
    told = []
    of(model, TEXTS, "mean@1", passed=lambda texts, tokens: told.append((texts, tokens)))
    assert sum(texts for texts, _ in told) == 3
    assert sum(tokens for _, tokens in told) == sum(len(model.tokenize(text)) for text in TEXTS)


def test_rows_that_cannot_be(model, tiny):
    with pytest.raises(InputError, match="Row 2 of the corpus: The text is int 3"):
        of(model, ["a", "b", 3], "mean@1")
    with pytest.raises(ModelError, match="classification token"):
        of(tiny("gpt2"), ["a"], "cls@1")
    blocks = of(model, ["a", "a ghost of the first " * 150], "cls@1")
    with pytest.raises(InputError, match="Row 1 of the corpus: cls_1: The text passed in"):
        blocks[0].values("cls_1")


def test_numbers_that_are_none_are_said_by_row(tiny_folder):
    model = ls.load(tiny_folder("bert"), device="cpu")
    model.sites()
    texts = ["the first", "a ghost"]
    broken = int(model.tokenize("ghost").ids[1])
    with torch.no_grad():
        model.hf.get_input_embeddings().weight[broken] = torch.nan
    (block,) = of(model, texts, "mean@1", "words@1")
    with pytest.raises(
        ModelError, match="Row 1 of the corpus: mean_1: holds NaN or infinity, which the model gave"
    ):
        block.values("mean_1")
    with pytest.raises(ModelError, match="Row 1 of the corpus: words_1: holds NaN"):
        block.words("words_1")
    for ask in (
        lambda: ls.drift(model, texts),
        lambda: ls.sweep(model, texts * 2, ["a", "b"] * 2, ["mean@0"], cv=2),
        lambda: ls.LayerFeatures("mean@0", model).fit_transform(texts),
    ):
        with pytest.raises(ModelError, match="Row 1 of the corpus: mean_0: holds NaN or infinity"):
            ask()


def test_words_without_tokens_are_told_apart(model):
    own = [model.tokenize(words=["mother's", "ghost"]), model.tokenize(words=["a", "\u200b", "b"])]
    (block,) = stream(model, [Rows(0, own, None, pa.table({}))], [Feature("words")])
    vectors, there = block.words("words_6")
    assert there.tolist() == [True, True, True, False, True]
    assert np.isfinite(vectors).all(axis=1).tolist() == there.tolist()
