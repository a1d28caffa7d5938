import pytest

from layerscope import samples
from layerscope.errors import InputError


def test_a_dozen_words_in_several_senses():
    table = samples.table()
    assert len(samples.words()) == 12
    assert 50 <= len(table) <= 70
    assert table["text"].is_unique
    assert (table.groupby("word")["sense"].nunique() >= 2).all()


def test_each_word_is_found_once_in_its_text(model):
    for sample in samples.samples():
        tokens = model.tokenize(sample.text)
        assert (
            tokens.words[tokens.word_index[tokens.find(sample.word).start]]
            .text.lower()
            .startswith(sample.word)
        )


def test_one_word_only():
    assert all("crane" in text for text in samples.texts("crane"))
    with pytest.raises(InputError, match="known: bank, python"):
        samples.texts("crain")
