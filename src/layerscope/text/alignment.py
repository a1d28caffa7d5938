"""Where each token stands in its text.

Offsets that a tokenizer reports can be missing (Python tokenizers), zero-width, or shifted by
normalisation, so they are checked and never trusted. In this order:

1. Tokens that spell exactly the text stand where their bytes do, whatever was reported.
2. Reported offsets are believed if every token stands on what it spells and no letter is left over.
3. Tokens are placed by what they spell, if there is only one way. Unknown tokens spell nothing: around
   them the text is first taken apart into pieces that give the same tokens on their own.

What is then still open is an `AlignmentError` and never a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import regex

from layerscope.errors import AlignmentError
from layerscope.text.reading import Range, Spelt, read, read_bytes, units_of
from layerscope.text.reported import Offsets as Offsets
from layerscope.text.reported import can_be_believed
from layerscope.text.vocabulary import Vocabulary
from layerscope.text.words import letters_of, unicode_words, word_boundaries

# How many places near the middle of a piece are tried before it counts as one that cannot be taken apart.
_TRIES = 64

_BEFORE_SPACE = regex.compile(r"(?<=\S)(?=\s)")


def align(text: str, ids: Sequence[int], vocabulary: Vocabulary, reported: Offsets | None) -> Offsets:
    """Where the tokens of a text stand in it.

    Args:
        text: the text that was tokenised.
        ids: [token], without special tokens.
        vocabulary: what the ids spell.
        reported: int [token, 2], the tokenizer's own offsets, if it has any.

    Returns:
        int [token, 2], half-open, in code points, without the white space that a token may carry. From
        token to token neither start nor end ever goes back.

    Raises:
        AlignmentError: the tokens cannot be placed, or in more than one way.
    """
    spelt = vocabulary.spelt(ids)
    exact = read_bytes(text, spelt)
    if exact is not None:
        return _trimmed(text, spelt, exact)
    if reported is not None and can_be_believed(text, spelt, reported):
        return _trimmed(text, spelt, reported.tolist())
    return _trimmed(text, spelt, _placed(text, list(ids), vocabulary))


def _placed(text: str, ids: list[int], vocabulary: Vocabulary) -> list[Range]:
    """Place tokens by what they spell; a text with unknown ones is taken apart first."""
    is_plain = None not in vocabulary.spelt(ids) or len(ids) == 1
    steps = (_read, _read_apart) if is_plain else (_read_apart, _read)
    shown = text if len(text) <= 60 else text[:57] + "…"
    failure = AlignmentError(
        f"The tokens of {shown!r} fit it in no way or in more than one, so its words cannot be told apart; "
        "what goes by token (layers, pooling, attention) works for this text."
    )
    for step in (*steps, _as_one_word):
        try:
            places = step(text, ids, vocabulary)
        except AlignmentError as of_a_part:
            failure = of_a_part
            continue
        if places is not None:
            return places
    raise failure


def _read(text: str, ids: list[int], vocabulary: Vocabulary) -> list[Range] | None:
    return read(text, vocabulary.spelt(ids))


def _read_apart(text: str, ids: list[int], vocabulary: Vocabulary) -> list[Range] | None:
    parts = _by_spaces(text, ids, vocabulary) or _in_two(text, ids, vocabulary)
    places: list[Range] = []
    start = first = 0
    for length, count in parts:
        own = _placed(text[start : start + length], ids[first : first + count], vocabulary)
        places += [(start + a, start + b) for a, b in own]
        start, first = start + length, first + count
    return places if parts else None


def _by_spaces(text: str, ids: list[int], vocabulary: Vocabulary) -> list[tuple[int, int]]:
    """The text cut before white space, as lengths and token counts, if its pieces give the same tokens."""
    cuts = [0, *(match.start() for match in _BEFORE_SPACE.finditer(text)), len(text)]
    pieces = [text[a:b] for a, b in pairwise(cuts)]
    found = vocabulary.ids(pieces)
    if len(pieces) < 2 or [index for own in found for index in own] != ids:
        return []
    return [(len(piece), len(own)) for piece, own in zip(pieces, found, strict=True)]


def _in_two(text: str, ids: list[int], vocabulary: Vocabulary) -> list[tuple[int, int]]:
    """The text cut in two, so that both sides give the same tokens: at a word's edge, near its middle, if it can.

    What they spell is compared, since in the middle of a word tokens can be marked otherwise; a mark for a
    space that a side gets of its own does not count.
    """
    edges = set(word_boundaries(text))
    cuts = sorted(range(1, len(text)), key=lambda cut: (cut not in edges, abs(2 * cut - len(text))))
    spelt = vocabulary.spelt(ids)
    for cut in cuts[:_TRIES]:
        left, right = map(vocabulary.spelt, vocabulary.ids([text[:cut], text[cut:]]))
        if left[:1] == (b" ",) != spelt[:1]:
            left = left[1:]
        count = len(left)
        if left == spelt[:count] and _joined(right) == _joined(spelt[count:]):
            return [(cut, count), (len(text) - cut, len(ids) - count)]
    return []


def _joined(spelt: Spelt) -> bytes:
    """What tokens spell together, without a space before it; unknown ones as a byte that no text has."""
    return b"".join(b"\xff" if piece is None else piece for piece in spelt).lstrip(b" ")


def _as_one_word(text: str, ids: list[int], vocabulary: Vocabulary) -> list[Range] | None:
    """All tokens on all of a text that is one word at most: more cannot be said, and words need no more."""
    spelt = vocabulary.spelt(ids)
    spoken = [letters_of(unit.text) for unit in units_of(spelt) if unit.text is not None]
    has_letters = all(part in letters_of(text) for part in spoken)
    if None not in spelt:
        has_letters = "".join(spoken) == letters_of(text)
    is_word = ids and has_letters and len(unicode_words(text)) <= 1
    return [(0, len(text))] * len(ids) if is_word else None


def _trimmed(text: str, spelt: Spelt, places: Sequence[Sequence[int]]) -> Offsets:
    """Places without the white space that a token carries.

    A token that is white space keeps what it stands on, but a mark that stands on none (sentencepiece's
    leading ▁, which tokenizers report on the next character) becomes empty.
    """
    trimmed = np.zeros((len(spelt), 2), dtype=np.int64)
    furthest = 0
    for index, (piece, (start, end)) in enumerate(zip(spelt, places, strict=True)):
        stands = text[start:end]
        if stands and not stands.isspace():
            if piece is not None and not piece.strip():
                end = start
            elif stands[0].isspace() or stands[-1].isspace():
                start, end = end - len(stands.lstrip()), start + len(stands.rstrip())
        furthest = max(furthest, end)
        trimmed[index] = start, furthest
    trimmed[:, 0] = np.minimum.accumulate(trimmed[::-1, 0])[::-1]
    return trimmed
