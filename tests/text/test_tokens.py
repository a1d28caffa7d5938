"""Tokens: where they stand, which word each belongs to, and finding them again."""

import numpy as np
import pytest

from layerscope.errors import InputError, NotFoundError
from layerscope.text.encode import encode, with_words
from layerscope.text.tokens import Span
from vocabularies import vocabulary

SENTENCE = "Then I tried to find some way of embracing my mother's ghost."
TWO_GHOSTS = "My mother's ghost, the Ghost of a mother. Ghosts!"


def tokenized(kind, text, pair=None, words=None):
    return with_words(vocabulary(kind), text, pair, words)


def spans(tokens):
    return [(span.text, span.start, span.stop) for span in tokens.word_spans]


def test_the_arrays_have_one_entry_a_token(model):
    tokens = model.tokenize(SENTENCE, "My mother's ghost.")
    for array in (tokens.ids, tokens.token_type_ids, tokens.sequence, tokens.word_index):
        assert (array.dtype, array.shape) == (np.int64, (len(tokens),))
    assert (tokens.offsets.dtype, tokens.offsets.shape) == (np.int64, (len(tokens), 2))
    assert (tokens.special_mask.dtype, tokens.special_mask.shape) == (np.bool_, (len(tokens),))
    assert len(tokens.strings) == len(tokens)
    assert len(tokens.word_spans) == len(tokens.words)


def test_offsets_and_words_of_a_sentence(model):
    tokens = model.tokenize(SENTENCE)
    assert [SENTENCE[start:end].lower() for start, end in tokens.offsets[1:-1]] == list(tokens.strings[1:-1])
    assert tokens.offsets[[0, -1]].tolist() == [[0, 0], [0, 0]]
    assert tokens.word_index.tolist() == [-1, *range(10), 10, 10, 10, 11, 12, -1]
    assert spans(tokens)[10:] == [("mother's", 11, 14), ("ghost", 14, 15), (".", 15, 16)]


def test_words_are_the_same_for_every_tokenizer():
    texts = ["naïve 我喜欢 don't 👩‍👩‍👧 …", " \t", ""]
    for text in texts:
        words = {tokenized(kind, text).words for kind in ("wordpiece", "bytelevel", "xlm-roberta", "byt5")}
        assert len(words) == 1


def test_a_token_of_several_words_is_in_all_of_their_spans():
    tokens = tokenized("smollm2", "Well...")
    assert tokens.strings == ("Well", "...")
    assert spans(tokens) == [("Well", 0, 1), (".", 1, 2), (".", 1, 2), (".", 1, 2)]
    assert tokens.word_index.tolist() == [0, 1]


def test_a_mark_for_a_space_inside_a_word_belongs_to_it():
    # U+202F holds a word together and is a space to sentencepiece.
    tokens = tokenized("xlm-roberta", "d\u202fe")
    assert tokens.strings == ("<s>", " d", " ", "e", "</s>")
    assert spans(tokens) == [("d\u202fe", 1, 4)]


def test_a_word_that_the_tokenizer_drops_has_an_empty_span(model):
    tokens = model.tokenize("a \ue000 b")
    assert [len(span) for span in tokens.word_spans] == [1, 0, 1]
    with pytest.raises(
        NotFoundError, match=r"No token stands on '\\ue000', characters 2 to 3: the tokenizer dr"
    ):
        tokens.find("\ue000")


def test_a_pair_has_the_words_of_both(model):
    tokens = model.tokenize("the cat the", "cat the")
    assert [(word.text, word.sequence) for word in tokens.words] == [
        ("the", 0),
        ("cat", 0),
        ("the", 0),
        ("cat", 1),
        ("the", 1),
    ]
    assert spans(tokens) == [("the", 1, 2), ("cat", 2, 3), ("the", 3, 4), ("cat", 5, 6), ("the", 6, 7)]
    assert tokens.find("cat", sequence=1) == Span("cat", 5, 6, 1)
    assert tokens.find((0, 3), sequence=1) == Span("cat", 5, 6, 1)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("ghost", Span("ghost", 5, 6)),  # as written before ignoring case
        ("GHOSTS", Span("Ghosts", 13, 14)),
        ("mother's", Span("mother's", 2, 5)),
        ("mother's ghost", Span("mother's ghost", 2, 6)),
        ("my mother's", Span("My mother's", 1, 5)),
        ("of a", Span("of a", 9, 11)),
        ((3, 9), Span("mother", 2, 3)),
        ((4, 13), Span("other's g", 2, 6)),
        (np.array([0, 2]), Span("My", 1, 2)),
    ],
)
def test_find(model, what, expected):
    assert model.tokenize(TWO_GHOSTS).find(what) == expected


def test_find_counts_occurrences_from_one(model):
    tokens = model.tokenize("A ghost of a ghost.")
    assert [tokens.find("ghost", occurrence) for occurrence in (1, np.int64(2))] == [
        Span("ghost", 2, 3),
        Span("ghost", 5, 6),
    ]
    assert len(tokens.find("ghost", 2)) == 1
    assert tokens.strings[tokens.find("ghost", 2).slice] == ("ghost",)


def test_find_phrases_in_chinese_and_arabic(model):
    tokens = model.tokenize("我喜欢在家里看书。")
    assert tokens.find("看书") == Span("看书", 7, 9)
    tokens = tokenized("bytelevel", "أحب القراءة في البيت.")
    span = tokens.find("القراءة في")
    assert b"".join(tokens.vocabulary.spelt(tokens.ids[span.slice])).decode() == " القراءة في"


@pytest.mark.parametrize(
    ("what", "options", "message"),
    [
        ("ghos", {}, r"'ghos' is no word or phrase of the text; it has 'ghost', 'Ghost', 'Ghosts'\."),
        (
            "zebra",
            {},
            r"it has 'My', \"mother's\", 'ghost', ',', 'the', 'Ghost', 'of', 'a', 'mother', '\.', 'G",
        ),
        ("", {}, r"'' is no word or phrase of the text; it has 'My'"),
        ("mother", {}, r"is there 2 times; say which with occurrence=: 1: \"My mother's ghost, the"),
        ("mother", {"occurrence": 0}, r"is there 2 times, so occurrence=0 is not one of 1: .*; 2: "),
        ("mother", {"occurrence": -1}, r"so occurrence=-1 is not one of 1: "),
        ("mother", {"occurrence": 3}, r"so occurrence=3 is not one of 1: "),
        ("ghost", {"occurrence": 2}, r"'ghost' is there once, so occurrence=2 is not one of 1: "),
        ((0, 0), {}, r"\(0, 0\) is no range of the text; give 0 <= start < end <= 49"),
        ((40, 50), {}, r"\(40, 50\) is no range of the text"),
        ((-2, 3), {}, r"\(-2, 3\) is no range"),
        ((2, 3), {}, r"No token stands on ' ', characters 2 to 3"),
        (7, {}, r"find takes a word, a phrase, or a range \(start, end\) of characters; not 7"),
        (("a", "b"), {}, r"find takes a word, a phrase, or a range"),
        ("ghost", {"sequence": 1}, r"sequence=1 is not there; it is 0: there is no pair"),
        ("ghost", {"sequence": -1}, r"sequence=-1 is not there"),
    ],
)
def test_find_says_what_would_work(model, what, options, message):
    with pytest.raises(InputError, match=message):
        model.tokenize(TWO_GHOSTS).find(what, **options)


def test_find_shows_in_which_text_of_a_pair_a_candidate_is(model):
    with pytest.raises(NotFoundError, match=r"1: 'a ghost'; 2: 'the ghost' \(pair\)\.$"):
        model.tokenize("a ghost", "the ghost").find("ghost")


def test_messages_do_not_grow_with_the_text(model):
    tokens = model.tokenize("ghost " * 500 + " ".join(f"w{number}" for number in range(500)))
    for what in ("ghost", "zebra"):
        with pytest.raises(NotFoundError) as caught:
            tokens.find(what)
        assert "…" in str(caught.value)
        assert len(str(caught.value)) < 1000


def test_own_words_take_the_place_of_the_unicode_ones(model):
    text = "We don't go to New York"
    own = ["We", "do", "n't", "go", "to", "New York"]
    tokens = model.tokenize(text, words=own)
    assert [word.text for word in tokens.words] == own
    assert spans(tokens) == [
        ("We", 1, 2),
        ("do", 2, 3),  # "don" is one token of both words
        ("n't", 2, 5),
        ("go", 5, 6),
        ("to", 6, 7),
        ("New York", 7, 9),
    ]
    assert tokens.find("n't") == Span("n't", 2, 5)
    assert tokens.find("New York") == Span("New York", 7, 9)
    assert model.tokenize(text, words=[(0, 2), (15, 23)]).word_index.tolist() == [-1, 0, *[-1] * 5, 1, 1, -1]
    with pytest.raises(NotFoundError, match="it has 'We', 'do', \"n't\""):
        tokens.find("zebra")


def test_own_words_of_the_first_of_a_pair(model):
    tokens = model.tokenize("New York", "New York", words=["New York"])
    assert [(word.text, word.sequence) for word in tokens.words] == [("New York", 0), ("New", 1), ("York", 1)]
    assert spans(tokens) == [("New York", 1, 3), ("New", 4, 5), ("York", 5, 6)]


def test_table(model):
    table = model.tokenize("subword", "a").table()
    assert table.index.name == "token"
    assert table.drop(columns=["id", "word"]).to_dict("list") == {
        "string": ["[CLS]", "sub", "##word", "[SEP]", "a", "[SEP]"],
        "start": [0, 0, 3, 0, 0, 0],
        "end": [0, 3, 7, 0, 1, 0],
        "word_index": [-1, 0, 0, -1, 1, -1],
        "special": [True, False, False, True, False, True],
        "token_type": [0, 0, 0, 0, 1, 1],
    }
    assert table["word"].isna().tolist() == [True, False, False, True, False, True]
    assert table["word"].dropna().tolist() == ["subword", "subword", "a"]
    assert table["id"].dtype == np.int64
    assert "None" not in table.to_string()


@pytest.mark.parametrize("kind", ["wordpiece", "bytelevel", "xlm-roberta", "byt5"])
@pytest.mark.parametrize("text", ["", " ", " \t\n\u3000"])
def test_nothing_and_white_space_have_no_words(kind, text):
    tokens = tokenized(kind, text)
    assert tokens.words == tokens.word_spans == ()
    assert (tokens.word_index == -1).all()
    assert len(tokens.table()) == len(tokens)
    with pytest.raises(NotFoundError, match="'ghost' is no word or phrase of the text; it has none"):
        tokens.find("ghost")


def test_keeping_some_tokens_keeps_their_places(model):
    tokens = model.tokenize(SENTENCE)
    kept = tokens.keep(np.array([0, 1, 2, 3, 14, 16]))
    assert (len(kept), kept.num_cut) == (6, 11)
    assert kept.strings == ("[CLS]", "then", "i", "tried", "ghost", "[SEP]")
    assert kept.offsets.tolist() == tokens.offsets[[0, 1, 2, 3, 14, 16]].tolist()
    assert kept.words == tokens.words
    assert kept.find("ghost") == Span("ghost", 4, 5)
    assert [len(span) for span in kept.word_spans] == [1, 1, 1, *[0] * 8, 1, 0]
    with pytest.raises(NotFoundError, match=r"No token stands on 'find', .*: 11 tokens of the text were cut"):
        kept.find("find")
    again = kept.keep(np.array([4]))
    assert again.offsets.tolist() == [[55, 60]]
    assert again.num_cut == 16


def test_tokens_can_be_used_without_their_alignment():
    (tokens,) = encode(vocabulary("wordpiece"), ["The cat"])
    assert "offsets" not in vars(tokens)
    assert tokens.strings[1:3] == ("the", "cat")
    assert "offsets" not in vars(tokens)
