"""What tokens spell, as bytes and as people read them, whatever the tokenizer's own marks are."""

import pytest

from vocabularies import EVERY, vocabulary


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("wordpiece", "the ghost", ("the", "ghost")),
        ("wordpiece", "theghost", ("the", "##g", "##h", "##o", "##st")),
        ("bytelevel", "a the\n", ("a", " the", "\n")),
        ("roberta", "é ☃", ("é", " <0xE2>", "<0x98>", "<0x83>")),
        ("smollm2", "The ghost", ("The", " ghost")),
        ("llama", "the ☃", (" the", " ", "<0xE2>", "<0x98>", "<0x83>")),
        ("xlm-roberta", "the cat", (" the", " ca", "t")),
        ("t5", "the ☃", (" the", " ", "<unk>")),
        ("byt5", "é", ("<0xC3>", "<0xA9>")),
        ("perceiver", "é", ("<0xC3>", "<0xA9>")),
        ("canine", "é我", ("é", "我")),
        ("bert-generation", "the cat", (" the", " ca", "t")),
        ("prophetnet", "theghost", ("the", "##g", "##h", "##o", "##st")),
        ("clip", "The é", ("the", "<0xC3>", "<0xA9>")),
    ],
)
def test_strings_are_what_people_read(kind, text, expected):
    words = vocabulary(kind)
    assert words.strings(words.ids([text])[0]) == expected


@pytest.mark.parametrize("kind", EVERY)
def test_tokens_spell_the_text(kind):
    words = vocabulary(kind)
    text = "then i tried to find my mother's coat"
    spelt = b"".join(words.spelt(words.ids([text])[0])).decode()
    assert spelt.replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("kind", EVERY)
def test_the_unknown_token_spells_nothing(kind):
    words = vocabulary(kind)
    unknown = words.tokenizer.unk_token_id
    if unknown is not None:
        assert words.spelt([unknown]) == (None,)
        assert words.strings([unknown]) == (words.tokenizer.unk_token,)


def test_special_tokens_are_shown_by_name(model):
    assert model.vocabulary.strings([0, 100, 101, 102, 103]) == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def test_an_id_that_the_tokenizer_has_no_name_for_is_shown_and_unknown(model):
    assert model.vocabulary.strings([99_999]) == ("<99999>",)
    assert model.vocabulary.spelt([99_999]) == (None,)


def test_ids_have_no_special_tokens(model):
    assert model.vocabulary.ids(["ghost", "", "my ghost"]) == [[5745], [], [2026, 5745]]
