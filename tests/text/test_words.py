"""Words are those of Unicode, the same for every tokenizer, or the caller's own."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerscope.errors import InputError
from layerscope.text.words import bare, decomposed, find_phrase, own_words, unicode_words, word_boundaries

anything = st.text(st.characters(codec="utf-8"), max_size=20)
quick = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def texts_of(words):
    return [word.text for word in words]


def places(text, phrase):
    return find_phrase(text, phrase, set(word_boundaries(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My mother's ghost.", ["My", "mother's", "ghost", "."]),
        (
            "I don't pay $3.50, l'été non plus",
            ["I", "don't", "pay", "$", "3.50", ",", "l'été", "non", "plus"],
        ),
        ("re-use a_b e.g. C++", ["re", "-", "use", "a_b", "e.g", ".", "C", "+", "+"]),
        ("我喜欢书。", ["我", "喜", "欢", "书", "。"]),
        ("أُحِبُّ القِرَاءَة", ["أُحِبُّ", "القِرَاءَة"]),
        ("मैं किताब पढ़ता हूँ।", ["मैं", "किताब", "पढ़ता", "हूँ", "।"]),
        ("나는 집에서", ["나는", "집에서"]),
        ("カタカナ です", ["カタカナ", "で", "す"]),
        ("nai\u0308ve cafe\u0301", ["nai\u0308ve", "cafe\u0301"]),
        ("the 👩‍👩‍👧 👍🏽 ❤️ 1️⃣", ["the", "👩‍👩‍👧", "👍🏽", "❤️", "1️⃣"]),
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        ("", []),
        (" \t\n\u00a0\u3000", []),
        ("\u200b\ufeff\u00ad\x00", []),
    ],
)
def test_unicode_words(text, expected):
    assert texts_of(unicode_words(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("an 'apple'", ["an", "'", "apple", "'"]),
        ("‘I’ say ’", ["‘", "I", "’", "say", "’"]),
        ("2'a x.'é", ["2", "'", "a", "x", ".", "'", "é"]),
        ("🇫<b 🇫\u0301a", ["🇫", "<", "b", "🇫\u0301", "a"]),
    ],
)
def test_boundaries_that_the_regex_package_leaves_out(text, expected):
    assert texts_of(unicode_words(text)) == expected


@quick
@given(anything)
def test_words_stand_where_they_say_and_leave_nothing_visible_out(text):
    words = unicode_words(text, sequence=1)
    assert all(text[word.start : word.end] == word.text and word.sequence == 1 for word in words)
    assert all(one.end <= other.start for one, other in pairwise(words))
    inside = {position for word in words for position in range(word.start, word.end)}
    outside = [letter for position, letter in enumerate(text) if position not in inside]
    assert not any(map(str.isalnum, outside))


def test_own_words_are_strings_in_order_or_ranges():
    text = "New York, we don't"
    words = own_words(text, ["New York", "we", "do", "n't"])
    assert [(word.text, word.start, word.end) for word in words] == [
        ("New York", 0, 8),
        ("we", 10, 12),
        ("do", 13, 15),
        ("n't", 15, 18),
    ]
    assert own_words(text, [(0, 8), (10, 12), (13, 15), (15, 18)]) == words
    assert own_words(text, np.array([[0, 8], [10, 12], [13, 15], [15, 18]])) == words
    assert own_words(text, []) == ()


def test_an_own_word_is_never_found_inside_a_later_word():
    with pytest.raises(InputError, match=r"Word 0 of words=, 'the', does not come next .* 'other the'"):
        own_words("other the", ["the"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["ghost", "My"],
            r"Word 0 of words=, 'ghost', does not come next in the text, which reads 'My ghost' th",
        ),
        (
            ["My", "ghost", "My"],
            r"Word 2 of words=, 'My', does not come next in the text, which reads '' there",
        ),
        (["My", "Ghost"], r"'Ghost', does not come next in the text, which reads ' ghost' there"),
        (["My", ""], r"Word 1 of words=, '', does not come next"),
        ("My ghost", r"is the string 'My ghost'; give a list of strings, or of \(start, end\) ranges"),
        ([(0, 2), (1, 4)], r"\(1, 4\), must be a range of the text \(0 to 8\).* the word before \(2\)"),
        ([(0, 0)], r"\(0, 0\), must be a range .* not empty"),
        ([(3, 9)], r"\(3, 9\), must be a range of the text \(0 to 8\)"),
        ([(-1, 2)], r"\(-1, 2\), must be a range"),
        ([7], r"Word 0 of words= is 7; a word is a string or a range \(start, end\)"),
        ([(1, 2, 3)], r"is \(1, 2, 3\); a word is a string or a range"),
        ([(0.0, 2.0)], r"is \(0.0, 2.0\); a word is a string or a range"),
    ],
)
def test_own_words_that_do_not_fit_are_refused_with_what_would(words, message):
    with pytest.raises(InputError, match=message):
        own_words("My ghost", words)


@pytest.mark.parametrize(
    ("text", "phrase", "expected"),
    [
        ("my mother's ghosts", "mother", [(3, 9)]),
        ("my mother's ghosts", "ghost", []),
        ("my mother's ghosts", "mother's ghosts", [(3, 18)]),
        ("Ghost, ghost", "ghost", [(7, 12)]),
        ("Ghost, ghost", "GHOST", [(0, 5), (7, 12)]),
        ("eine Straße", "STRASSE", [(5, 11)]),
        ("我喜欢在家里看书。", "看书", [(6, 8)]),
        ("a.b(c)", "b", [(2, 3)]),
        ("aa aa aa", "aa aa", [(0, 5), (3, 8)]),
        ("cafe\u0301", "café", [(0, 5)]),
        ("café", "cafe\u0301", [(0, 4)]),
        ("cafe\u0301", "cafe", []),
        ("किताब", "क", []),
        ("👩‍👩‍👧 👩", "👩", [(6, 7)]),
        ("👍🏽", "👍", []),
        ("🇩🇪🇫🇷", "🇪🇫", []),
        ("a b", " ", []),
        ("a b", "", []),
    ],
)
def test_a_phrase_is_found_at_the_edges_of_words_only(text, phrase, expected):
    assert places(text, phrase) == expected


def test_what_tokenizers_keep_of_a_character():
    assert [decomposed(c) for c in "Éß½…\u200b\ufffd "] == ["e\u0301", "ss", "1⁄2", "...", "", "", ""]
    assert [bare(c) for c in "Éß½\u0301\u0345ǅ가"] == ["e", "ss", "1⁄2", "", "", "dz", "\u1100\u1161"]
