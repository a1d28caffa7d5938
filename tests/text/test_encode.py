"""From text to ids: the figures of the seeds, pairs, odd texts, and what is refused."""

import warnings

import numpy as np
import pytest

from layerscope.errors import InputError
from layerscope.text.encode import encode, encode_target, with_words
from vocabularies import EVERY, vocabulary

SENTENCE = "Then I tried to find some way of embracing my mother's ghost."
SENTENCE_IDS = "101 2059 1045 2699 2000 2424 2070 2126 1997 23581 2026 2388 1005 1055 5745 1012 102"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (SENTENCE, SENTENCE_IDS),
        ("Mehdi loves AI", "101 2033 22960 7459 9932 102"),
        ("I am Mehdi", "101 1045 2572 2033 22960 102"),
        (
            "AI is my friend and has been friendly since it was invented.",
            "101 9932 2003 2026 2767 1998 2038 2042 5379 2144 2009 2001 8826 1012 102",
        ),
        (" \t\n", "101 102"),
        ("", "101 102"),
    ],
)
def test_ids_of_the_seeds(model, text, ids):
    assert " ".join(map(str, model.tokenize(text).ids)) == ids


@pytest.mark.parametrize(
    ("text", "strings"),
    [
        (
            "large language models use subword tokenization",
            ("large", "language", "models", "use", "sub", "##word", "token", "##ization"),
        ),
        ("Mehdi loves AI", ("me", "##hdi", "loves", "ai")),
    ],
)
def test_subwords_of_the_seeds(model, text, strings):
    tokens = model.tokenize(text)
    assert tokens.strings == ("[CLS]", *strings, "[SEP]")
    assert tokens.special_mask.tolist() == [True, *[False] * len(strings), True]


def test_the_pair_of_the_seeds_has_8_zeros_and_16_ones(model):
    tokens = model.tokenize("What did I do then?", SENTENCE)
    assert tokens.token_type_ids.tolist() == [0] * 8 + [1] * 16
    assert tokens.sequence.tolist() == [-1, *[0] * 6, -1, *[1] * 15, -1]
    assert (tokens.text, tokens.pair, tokens.cls_index) == ("What did I do then?", SENTENCE, 0)


def test_ten_thousand_times_a_is_10_002_tokens(model):
    tokens = model.tokenize("a " * 10_000)
    assert (len(tokens), tokens.num_cut) == (10_002, 0)
    assert tokens.word_index[1:-1].tolist() == list(range(10_000))


def test_the_sentence_of_twenty_tokens(model):
    assert (
        len(
            model.tokenize("Almost before we knew it, we had left the ground. The unknown holds its grounds.")
        )
        == 20
    )


def test_single_ids_decode_as_in_the_seeds(model):
    assert model.vocabulary.strings([5745, 0]) == ("ghost", "[PAD]")
    assert model.tokenizer.decode([1005, 1012]).replace(" ", "") == "'."
    assert model.vocab_size == 30522


@pytest.mark.parametrize("kind", EVERY)
def test_texts_encoded_together_are_as_alone(kind):
    texts = ["The cat.", ("A cat", "the dog"), "", ("", "x"), " ", "the the", ("the the", "the")]
    words = vocabulary(kind)
    for text, tokens in zip(texts, encode(words, texts), strict=True):
        (alone,) = encode(words, [text])
        for name in ("ids", "special_mask", "token_type_ids", "sequence", "offsets"):
            assert np.array_equal(getattr(tokens, name), getattr(alone, name)), name
        assert (tokens.text, tokens.pair) == ((text, None) if isinstance(text, str) else text)
        assert tokens.cls_index == alone.cls_index


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize(
    "pair", [("the cat the", "cat the"), ("", "the"), ("the", ""), ("", ""), (" ", "\n")]
)
def test_pairs_say_which_text_each_token_is_of(kind, pair):
    words = vocabulary(kind)
    (tokens,) = encode(words, [pair])
    assert [tokens.ids[tokens.sequence == number].tolist() for number in (0, 1)] == words.ids(list(pair))
    assert np.array_equal(tokens.sequence < 0, tokens.special_mask)
    own = [(span.sequence, words.spelt(tokens.ids[span.slice])) for span in tokens.word_spans]
    joined = [(number, b"".join(spelt).decode().strip()) for number, spelt in own]
    assert joined == [(number, word) for number, text in enumerate(pair) for word in text.split()]


def test_a_special_token_typed_in_the_text_is_no_special_token(model):
    tokens = model.tokenize("[CLS] a [MASK] b [SEP]")
    assert tokens.strings == ("[CLS]", "[CLS]", "a", "[MASK]", "b", "[SEP]", "[SEP]")
    assert tokens.special_mask.tolist() == [True, *[False] * 5, True]
    assert tokens.cls_index == 0
    assert tokens.find("[MASK]").start == 3


@pytest.mark.parametrize(
    ("text", "sequence"),
    [
        ("a</s>", [0, 0]),
        ("</s>\n", [0]),
        ("</s> a", [0, 0, -1]),
        (("a</s>", "b"), [0, 0, 1, -1]),
        (("a", "b</s>"), [0, -1, 1, 1]),
    ],
)
def test_an_end_token_that_a_python_tokenizer_does_not_put_twice_is_the_texts_own(text, sequence):
    with warnings.catch_warnings(action="ignore"):  # ByT5 warns of it
        (tokens,) = encode(vocabulary("byt5"), [text])
    assert tokens.sequence.tolist() == sequence
    assert (tokens.sequence < 0).tolist() == tokens.special_mask.tolist()
    assert len(tokens.words) == len(tokens.word_spans)


def test_cls_index_is_the_templates_token_and_never_just_the_first():
    assert encode(vocabulary("wordpiece"), ["the"])[0].cls_index == 0
    assert encode(vocabulary("xlm-roberta"), ["the"])[0].cls_index == 0
    for kind in ("bytelevel", "llama", "t5", "byt5"):
        assert encode(vocabulary(kind), ["the"])[0].cls_index is None


def test_words_without_a_text_are_joined_by_spaces():
    tokens = with_words(vocabulary("wordpiece"), None, None, ["The", "cat", "."])
    assert tokens.text == "The cat ."
    assert [word.text for word in tokens.words] == ["The", "cat", "."]
    assert with_words(vocabulary("wordpiece"), None, None, []).text == ""


@pytest.mark.parametrize("words", [None, "The cat", [(0, 3)], ["The", (4, 7)]])
def test_no_text_needs_words_that_are_strings(words):
    with pytest.raises(
        InputError, match=r"^Give a text, or words= as a list of strings to be joined by spaces\.$"
    ):
        with_words(vocabulary("wordpiece"), None, None, words)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("text", ["a\ud800b", ("a", "\udfff"), "\ud83d\ude00"])
def test_half_a_surrogate_pair_is_refused_in_a_sentence(kind, text):
    with pytest.raises(
        InputError, match=r"^Text 1 has half a surrogate pair, U\+D\w\w\w, at position [01]: no char"
    ):
        encode(vocabulary(kind), ["fine", text])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([5], r"^The text is int 5; a text is a string, a pair a tuple of two\.$"),
        ([None], r"^The text is NoneType None;"),
        (["a", b"b"], r"^Text 1 is bytes b'b';"),
        (["a", ["b", "c"]], r"^Text 1 is list \['b', 'c'\];"),
        (["a", ("b",)], r"^Text 1 is tuple \('b',\);"),
        (["a", ("b", None)], r"^Text 1 is tuple \('b', None\);"),
        ([{"text": "x" * 100}], r"^The text is dict \{'text': 'x+\.\.\.;"),
    ],
)
def test_what_is_no_text_is_refused_with_what_would_be(texts, message):
    with pytest.raises(InputError, match=message):
        encode(vocabulary("wordpiece"), texts)


def test_a_target_begins_with_the_start_token_and_leaves_out_its_last():
    tokens = encode_target(vocabulary("t5"), "the cat", start_id=0)
    assert tokens.strings == ("<pad>", " the", " ca", "t")
    assert tokens.special_mask.tolist() == [True, False, False, False]
    assert tokens.sequence.tolist() == [-1, 0, 0, 0]
    assert tokens.offsets.tolist() == [[0, 0], [0, 3], [4, 6], [6, 7]]
    assert (tokens.num_cut, tokens.cls_index) == (0, None)


def test_a_target_whose_last_token_is_text_still_knows_its_words():
    tokens = encode_target(vocabulary("bert-generation"), "the cat", start_id=0)
    assert tokens.strings[1:] == (" the", " ca")
    assert [(span.text, span.start, span.stop) for span in tokens.word_spans] == [
        ("the", 1, 2),
        ("cat", 2, 3),
    ]


@pytest.mark.parametrize("target", [None, ("a", "b"), "\ud800"])
def test_a_target_is_one_text(target):
    with pytest.raises(InputError, match=r"^The target (is|has) .*"):
        encode_target(vocabulary("t5"), target, start_id=0)
