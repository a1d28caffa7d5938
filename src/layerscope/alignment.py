"""Where each token stands in its text: the offsets a tokenizer reports, checked, or else worked out anew.

Offsets can be missing (Python tokenizers), zero-width, or shifted by normalisation. Nothing here trusts
them: every token that spells something must stand on text that spells the same, and no letter or digit
may be left over. Where they fail, the tokens are placed by what they spell, once from the left and once
from the right; if the two readings differ, or none exists, that is an error and never a guess.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import AlignmentError
from layerscope.words import is_visible, unicode_words

Offsets = NDArray[np.int64]
Range = tuple[int, int]


@dataclass(frozen=True)
class _Unit:
    """The shortest run of tokens `first:stop` that spells whole characters; `text` is None if unknown."""

    first: int
    stop: int
    text: str | None


def align(text: str, spelt: Sequence[bytes | None], reported: Offsets | None) -> Offsets:
    """Where the tokens of a text stand in it.

    Args:
        text: the text that was tokenised.
        spelt: for each token the bytes that it spells, None for the unknown token.
        reported: int [token, 2], the tokenizer's own offsets, if it has any.

    Returns:
        int [token, 2], half-open, in code points, without the white space that a token may carry.

    Raises:
        AlignmentError: the tokens cannot be placed, or in more than one way.
    """
    units = _units(spelt)
    if reported is not None and _fits(text, units, reported):
        return _trimmed(text, spelt, reported)
    return _trimmed(text, spelt, _placed(text, spelt, units))


def fold(text: str) -> str:
    """What tokenizers keep of a text at least: compatibility-decomposed, lower case, no marks, no white space."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(c for c in decomposed if is_visible(c) and not unicodedata.category(c).startswith("M"))


def _units(spelt: Sequence[bytes | None]) -> list[_Unit]:
    units: list[_Unit] = []
    first, pending = 0, b""
    for index, piece in enumerate(spelt):
        if piece is None:
            if pending:
                units.append(_Unit(first, index, None))
            units.append(_Unit(index, index + 1, None))
            first, pending = index + 1, b""
            continue
        pending += piece
        try:
            units.append(_Unit(first, index + 1, pending.decode()))
            first, pending = index + 1, b""
        except UnicodeDecodeError:
            continue  # a character is not complete yet
    if pending:
        units.append(_Unit(first, len(spelt), None))
    return units


def _fits(text: str, units: list[_Unit], offsets: Offsets) -> bool:
    """Whether reported offsets can be believed."""
    starts, ends = offsets[:, 0], offsets[:, 1]
    if len(offsets) and (starts.min() < 0 or ends.max() > len(text) or (starts > ends).any()):
        return False
    if (np.diff(starts) < 0).any():
        return False
    for unit in units:
        stands = text[int(starts[unit.first]) : int(ends[unit.stop - 1])]
        if unit.text is not None and not _spells(unit.text, stands):
            return False
    covered = np.zeros(len(text) + 1, dtype=np.int64)
    np.add.at(covered, starts, 1)
    np.add.at(covered, ends, -1)
    left_over = np.flatnonzero(np.cumsum(covered)[:-1] == 0)
    return not any(_counts(text[position]) for position in left_over)


def _spells(token: str, stands: str) -> bool:
    """Whether a token can be the one that stands on this text.

    Normalisation may split one character into several tokens (½ → 1 ⁄ 2), so the token may be a part;
    it may also rewrite signs (`` → "), so signs are only asked to stand on some text.
    """
    if token.strip() in stands:
        return bool(stands) or not token.strip()
    wanted, found = fold(token), fold(stands)
    if wanted in found:
        return True
    return bool(found) and not any(map(str.isalnum, wanted + found))


def _counts(character: str) -> bool:
    """Whether a character must belong to some token: letters and digits must, marks and signs may vanish."""
    return any(map(str.isalnum, fold(character)))


def _placed(text: str, spelt: Sequence[bytes | None], units: list[_Unit]) -> Offsets:
    """Place the units by what they spell."""
    folded, origin = _folded_with_origin(text)
    wanted = [None if unit.text is None else fold(unit.text) for unit in units]
    from_left = _walk(folded, wanted)
    from_right = _walk(folded[::-1], [None if w is None else w[::-1] for w in reversed(wanted)])
    if from_left is None or from_right is None:
        raise AlignmentError(_message(text, "they spell something else than the text"))
    from_right = [(len(folded) - end, len(folded) - start) for start, end in reversed(from_right)]
    for want, left, right in zip(wanted, from_left, from_right, strict=True):
        if want != "" and left != right:
            raise AlignmentError(_message(text, "unknown tokens make more than one reading possible"))
    origin.append(len(text))
    places = [(origin[a], origin[b - 1] + 1) if b > a else (origin[a], origin[a]) for a, b in from_left]
    _share_unknown(text, wanted, places)
    offsets = np.zeros((len(spelt), 2), dtype=np.int64)
    for unit, place in zip(units, places, strict=True):
        for index, own in zip(range(unit.first, unit.stop), _within(text, spelt, unit, place), strict=True):
            offsets[index] = own
    return offsets


def _folded_with_origin(text: str) -> tuple[str, list[int]]:
    """The folded text, and for each of its characters the position in the text that it comes from."""
    parts = [fold(character) for character in text]
    origin = [position for position, part in enumerate(parts) for _ in part]
    return "".join(parts), origin


def _walk(folded: str, wanted: list[str | None]) -> list[Range] | None:
    """Ranges of the folded text for each unit, from the left; a run of unknown ones shares what lies between.

    None if a unit is not there, or if letters or digits would be left over.
    """
    places: list[Range] = [(0, 0)] * len(wanted)
    position = 0
    unknown: list[int] = []
    for index, want in enumerate([*wanted, "\0"]):
        if want is None:
            unknown.append(index)
            continue
        if want == "":
            places[index] = (position, position)
            continue
        start = len(folded) if want == "\0" else folded.find(want, position)
        if start < 0 or (not unknown and any(map(str.isalnum, folded[position:start]))):
            return None
        for other in unknown:
            places[other] = (position, start)
        unknown = []
        if index < len(wanted):
            places[index] = (start, start + len(want))
            position = start + len(want)
    return places


def _share_unknown(text: str, wanted: list[str | None], places: list[Range]) -> None:
    """Give each of several unknown tokens in a row its own word of what they share, in place."""
    index = 0
    while index < len(wanted):
        stop = index
        while stop < len(wanted) and wanted[stop] is None and places[stop] == places[index]:
            stop += 1
        if stop - index > 1:
            start, end = places[index]
            words = unicode_words(text[start:end])
            if len(words) != stop - index:
                raise AlignmentError(_message(text[start:end], f"{stop - index} unknown tokens share it"))
            places[index:stop] = [(start + word.start, start + word.end) for word in words]
        index = max(stop, index + 1)


def _within(text: str, spelt: Sequence[bytes | None], unit: _Unit, place: Range) -> list[Range]:
    """The ranges of the tokens of one unit: the characters that their bytes touch."""
    start, end = place
    pieces = [spelt[index] or b"" for index in range(unit.first, unit.stop)]
    spoken = unit.text or ""
    lead = len(spoken) - len(spoken.lstrip())
    if len(pieces) == 1 or spoken.strip() != text[start:end]:
        return [place] * len(pieces)
    character_of_byte = [number for number, character in enumerate(spoken) for _ in character.encode()]
    stops = list(accumulate(map(len, pieces)))
    ranges = []
    for piece, stop in zip(pieces, stops, strict=True):
        touched = character_of_byte[stop - len(piece) : stop]
        ranges.append((start + max(touched[0] - lead, 0), start + max(touched[-1] + 1 - lead, 0)))
    return ranges


def _trimmed(text: str, spelt: Sequence[bytes | None], offsets: Offsets) -> Offsets:
    """Offsets without the white space that a token carries.

    A token that is white space keeps what it stands on, but a mark that stands on none (sentencepiece's
    leading ▁, which tokenizers place on the next character) becomes empty.
    """
    trimmed = np.array(offsets, dtype=np.int64).reshape(-1, 2)
    for index, (start, end) in enumerate(trimmed.tolist()):
        stands, piece = text[start:end], spelt[index]
        if not stands or stands.isspace():
            continue
        if piece is not None and not piece.strip():
            trimmed[index, 1] = start
        elif stands[0].isspace() or stands[-1].isspace():
            trimmed[index] = (end - len(stands.lstrip()), start + len(stands.rstrip()))
    return trimmed


def _message(text: str, why: str) -> str:
    shown = text if len(text) <= 60 else text[:57] + "…"
    return (
        f"The tokens of {shown!r} cannot be placed in it: {why}. Token-level results (layers, pooling, attention "
        "by token) work; words do not for this text."
    )
