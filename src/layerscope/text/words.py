"""The words of a text, the same for every tokenizer, and what tokenizers keep of its characters."""

from __future__ import annotations

import operator
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise

import regex

from layerscope.errors import InputError, brief

# The W flag makes \b the default word boundary of Unicode (UAX #29), so that "don't", "3.14", a flag
# and a family emoji are one word each, every Chinese character is one, and so is every punctuation mark.
_BOUNDARY = regex.compile(r"(?V1w)\b")
# Two boundaries of UAX #29 that it leaves out: between an opening apostrophe and a vowel ('apple'), and
# behind half a flag.
_LEFT_OUT = regex.compile(
    r"(?<!\p{L}[\p{M}\p{Cf}]*)['’](?=\p{L})|\p{RI}[\p{M}\p{Cf}]*(?=[^\p{RI}\p{M}\p{Cf}])"
)
_CHARACTER = regex.compile(r"\X")
_INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})

# What becomes of one character; it may become none or several.
Fold = Callable[[str], str]

OwnWords = Sequence[str] | Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Word:
    """A word of a text: `text` stands at `start:end`, in code points.

    `sequence` is 0 for a text and for the first of a pair, 1 for the second.
    """

    text: str
    start: int
    end: int
    sequence: int = 0


def word_boundaries(text: str) -> list[int]:
    """The positions of the text, from 0 to its length, at which a word may begin or end (UAX #29)."""
    inner = {match.end() for pattern in (_BOUNDARY, _LEFT_OUT) for match in pattern.finditer(text)}
    return sorted({0, *inner, len(text)})


def unicode_words(text: str, sequence: int = 0) -> tuple[Word, ...]:
    """The words of a text by Unicode word boundaries (UAX #29), punctuation marks included.

    >>> [word.text for word in unicode_words("My mother's ghost.")]
    ['My', "mother's", 'ghost', '.']
    """
    return tuple(
        Word(text[start:end], start, end, sequence)
        for start, end in pairwise(word_boundaries(text))
        if any(map(is_visible, text[start:end]))
    )


def own_words(text: str, words: OwnWords, sequence: int = 0) -> tuple[Word, ...]:
    """The caller's own words of a text: strings in the order of the text, or `(start, end)` ranges of it.

    Between two strings white space and signs may be left out, but no letter or digit.

    >>> own_words("New York, we don't", ["New York", "we", "do", "n't"])[2]
    Word(text='do', start=13, end=15, sequence=0)

    Raises:
        InputError: a string that does not come next in the text, or a range that is empty, leaves the
            text, or overlaps the one before.
    """
    if isinstance(words, str) or not isinstance(words, Iterable) or getattr(words, "ndim", 1) == 0:
        raise InputError(
            f"words= is {'the string ' * isinstance(words, str)}{brief(words)}; give a list of strings, or of "
            "(start, end) ranges."
        )
    found: list[Word] = []
    position = 0
    for number, word in enumerate(words):
        place = _next_place if isinstance(word, str) else _range
        start, end = place(text, word, position, number)
        found.append(Word(text[start:end], start, end, sequence))
        position = end
    return tuple(found)


def find_phrase(text: str, phrase: str, edges: set[int]) -> list[tuple[int, int]]:
    """Where a phrase stands, as ranges: as written, or else ignoring case, or else also how é is encoded.

    It must begin and end at one of the `edges`, or where a letter meets something else ("mother" stands in
    "mother's"); never within what is seen as one character.
    """
    inner = {match.start() for match in _CHARACTER.finditer(text)} | {len(text)}

    def is_edge(position: int) -> bool:
        around = text[max(position - 1, 0) : position + 1]
        return position in edges or (position in inner and not all(map(_is_letter, around)))

    if not phrase.strip():
        return []
    for fold in (str, str.casefold, lambda character: unicodedata.normalize("NFD", character.casefold())):
        parts = [fold(character) for character in text]
        starts = {start: number for number, start in enumerate(accumulate(map(len, parts), initial=0))}
        matches = regex.finditer(regex.escape("".join(map(fold, phrase))), "".join(parts), overlapped=True)
        found = [
            (starts[start], starts[end])
            for start, end in (match.span() for match in matches)
            if start < end and start in starts and end in starts
        ]
        places = [(start, end) for start, end in found if is_edge(start) and is_edge(end)]
        if places:
            return places
    return []


def join_words(words: Sequence[str]) -> str:
    """The text of words that come without one: joined by single spaces."""
    return " ".join(words)


def is_visible(character: str) -> bool:
    """Whether a character shows: white space, control and format characters do not."""
    return unicodedata.category(character) not in _INVISIBLE


def is_mark(character: str) -> bool:
    """Whether a character only marks the one before it: an accent, a vowel sign."""
    return unicodedata.category(character)[0] == "M"


@cache
def decomposed(character: str) -> str:
    """What normalising tokenizers keep: lower case, decomposed (½ → 1⁄2), nothing invisible."""
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return "".join(part for part in parts if unicodedata.category(part)[0] not in "CZ" and part != "\ufffd")


@cache
def bare(character: str) -> str:
    """What every tokenizer keeps: the decomposed character without its marks (é → e)."""
    letters = (part for part in unicodedata.normalize("NFKD", character) if not is_mark(part))
    return "".join(part for letter in letters for part in decomposed(letter) if not is_mark(part))


def letters_of(text: str) -> str:
    """The letters and digits of a text as every tokenizer keeps them."""
    return "".join(filter(str.isalnum, "".join(map(bare, text))))


def _is_letter(character: str) -> bool:
    return character.isalnum() or is_mark(character)


def _next_place(text: str, word: object, position: int, number: int) -> tuple[int, int]:
    given = str(word)
    start = text.find(given, position) if given else -1
    if start < 0 or any(map(str.isalnum, text[position:start])):
        raise InputError(
            f"Word {number} of words=, {given!r}, does not come next in the text, which reads "
            f"{text[position : position + 40]!r} there; give every word as written and in order, or ranges."
        )
    return start, start + len(given)


def _range(text: str, word: object, position: int, number: int) -> tuple[int, int]:
    try:
        start, end = map(operator.index, word)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        raise InputError(
            f"Word {number} of words= is {brief(word)}; a word is a string or a range (start, end)."
        ) from None
    if not position <= start < end <= len(text):
        raise InputError(
            f"Word {number} of words=, ({start}, {end}), must be a range of the text (0 to {len(text)}), not "
            f"empty, and begin at or after the end of the word before ({position})."
        )
    return start, end
