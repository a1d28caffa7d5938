"""The words of a text, the same for every tokenizer."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import regex

from layerscope.errors import InputError

# The W flag makes \b the default word boundary of Unicode (UAX #29), so that "don't", "3.14", a flag
# and a family emoji are one word each, every Chinese character is one, and so is every punctuation mark.
_BOUNDARY = regex.compile(r"(?V1w)\b")
_INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})


@dataclass(frozen=True)
class Word:
    """A word of a text: `text` stands at `start:end`, in code points.

    `sequence` is 0 for a text and for the first of a pair, 1 for the second.
    """

    text: str
    start: int
    end: int
    sequence: int = 0


def is_visible(character: str) -> bool:
    """Whether a character shows: white space, control and format characters do not."""
    return unicodedata.category(character) not in _INVISIBLE


def word_boundaries(text: str) -> list[int]:
    """The positions of the text, from 0 to its length, at which a word may begin or end (UAX #29)."""
    inner = [match.start() for match in _BOUNDARY.finditer(text)]
    return sorted({0, *inner, len(text)})


def unicode_words(text: str, sequence: int = 0) -> tuple[Word, ...]:
    """The words of a text by Unicode word boundaries (UAX #29), punctuation marks included.

    >>> [word.text for word in unicode_words("My mother's ghost.")]
    ['My', "mother's", 'ghost', '.']
    """
    boundaries = word_boundaries(text)
    return tuple(
        Word(text[start:end], start, end, sequence)
        for start, end in zip(boundaries, boundaries[1:], strict=False)
        if any(map(is_visible, text[start:end]))
    )


def own_words(text: str, words: Sequence[str] | Sequence[tuple[int, int]], sequence: int = 0) -> tuple[Word, ...]:
    """The caller's own words of a text: strings that stand in it in this order, or `(start, end)` ranges.

    Raises:
        InputError: a string that does not come next in the text, or a range that is empty, leaves the
            text, or overlaps the one before.
    """
    found: list[Word] = []
    position = 0
    for number, word in enumerate(words):
        start, end = _place(text, word, position, number)
        found.append(Word(text[start:end], start, end, sequence))
        position = end
    return tuple(found)


def _place(text: str, word: str | tuple[int, int], position: int, number: int) -> tuple[int, int]:
    if isinstance(word, str):
        start = text.find(word, position) if word else -1
        if start < 0:
            raise InputError(
                f"Word {number} of words=, {word!r}, does not come next in the text: after position {position} "
                f"it reads {text[position : position + 40]!r}. Give the words in the order of the text."
            )
        return start, start + len(word)
    start, end = word
    if not position <= start < end <= len(text):
        raise InputError(
            f"Word {number} of words=, ({start}, {end}), must be a range of the text (0 to {len(text)}) that "
            f"begins at or after the end of the word before ({position}) and is not empty."
        )
    return start, end


def join_words(words: Sequence[str]) -> str:
    """The text of words that come without one: joined by single spaces."""
    return " ".join(words)
