"""Whether the offsets that a tokenizer reports can be believed."""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from layerscope.text.reading import Spelt, Unit, folded, units_of
from layerscope.text.words import bare, is_mark, is_visible, letters_of

Offsets = NDArray[np.int64]


class Fit(Enum):
    """How what a token spells fits the text that it is said to stand on."""

    NONE = "not at all"
    ALL = "it spells all of it"
    PART = "it spells a part of its first and last characters, which neighbors share (½ → 1 ⁄ 2)"
    SIGNS = 'it spells other signs, as normalisation may (`` → ")'
    EMPTY = "it spells nothing that shows"
    UNKNOWN = "it may spell anything"


def can_be_believed(text: str, spelt: Spelt, offsets: Offsets) -> bool:
    """Whether each token stands on what it spells, shares no more than a character, and nothing is left over.

    Args:
        text: what was tokenised.
        spelt: for each token the bytes that it spells, None if unknown.
        offsets: int [token, 2], as reported.
    """
    if not _are_ranges(text, spelt, offsets):
        return False
    before, reached, must_share = Fit.ALL, 0, False
    unsure: list[int] = []
    excused: set[int] = set()
    for unit in units_of(spelt):
        own = offsets[unit.first : unit.stop].tolist()
        start, end = own[0][0], own[-1][1]
        fit = fit_of(unit, spelt, text[start:end])
        shared = max(reached - start, 0)
        if fit is Fit.EMPTY:
            if shared:  # a part of the character too; a space within one is not the last
                before, must_share = Fit.PART, must_share or not (unit.text or "").strip()
            continue
        may_share = Fit.PART in (before, fit) and {before, fit} <= {Fit.PART, Fit.UNKNOWN}
        if fit is Fit.NONE or shared > 1 or (shared and not may_share) or (must_share and not shared):
            return False
        if len(own) > 1 and not all(any(map(is_visible, text[a:b])) for a, b in own):
            return False
        if fit is Fit.SIGNS:
            if (unit.text or "").strip() in text[max(start - 1, 0) : end + 1]:
                return False  # the sign itself stands beside them
            excused |= {start - 1, end}
        unsure += [start, end] if fit in (Fit.PART, Fit.UNKNOWN) else []
        before, reached, must_share = fit, end, fit is Fit.PART and not shared
    return not must_share and _covers(text, offsets, unsure, excused)


def fit_of(unit: Unit, spelt: Spelt, stands: str) -> Fit:
    """How a unit fits the text that it is said to stand on."""
    if unit.text is None:
        has_bytes = all((piece or b"") in stands.encode() for piece in spelt[unit.first : unit.stop])
        return Fit.UNKNOWN if stands and has_bytes else Fit.NONE
    token, stands = unit.text.strip(), stands.strip()
    wanted = "".join(map(bare, token))
    if token in (stands, stands.lower()):
        return Fit.ALL if wanted else Fit.EMPTY
    found, origin = folded(stands, bare)
    if not wanted:
        # A mark for a space is reported on the letter that follows, a stripped mark on its letter.
        return Fit.EMPTY if len(stands) == 1 or (token and stands and not found) else Fit.NONE
    if not found or any(map(_shows, stands[: origin[0]] + stands[origin[-1] + 1 :])):
        return Fit.NONE
    if wanted == found:
        return Fit.ALL
    for start in range(len(found) - len(wanted) + 1):
        if origin[start] != origin[0]:
            break
        if found.startswith(wanted, start) and origin[start + len(wanted) - 1] == origin[-1]:
            return Fit.PART
    return Fit.NONE if letters_of(wanted + found) else Fit.SIGNS


def _are_ranges(text: str, spelt: Spelt, offsets: Offsets) -> bool:
    if offsets.shape != (len(spelt), 2):
        return False
    inside = (offsets >= 0).all() and (offsets <= len(text)).all() and (offsets[:, 0] <= offsets[:, 1]).all()
    return bool(inside and (np.diff(offsets, axis=0) >= 0).all())


def _shows(character: str) -> bool:
    """Whether a character shows for itself, as marks do not."""
    return is_visible(character) and not is_mark(character)


def _covers(text: str, offsets: Offsets, unsure: list[int], excused: set[int]) -> bool:
    """Whether nothing is left over that tokens must stand on.

    Letters and digits must. Signs may vanish, but not between the same spaces as where it is unsure what a
    token spells of the text, of which they may be a part; unless they are excused.
    """
    change = np.zeros(len(text) + 1, dtype=np.int64)
    np.add.at(change, offsets[:, 0], 1)
    np.add.at(change, offsets[:, 1], -1)
    left_over = np.flatnonzero(np.cumsum(change)[:-1] == 0).tolist()
    stretch = np.cumsum([0, *(character.isspace() for character in text)])
    held = {int(stretch[place]) for place in unsure}
    return not any(
        letters_of(text[place])
        or (int(stretch[place]) in held and place not in excused and bare(text[place]))
        for place in left_over
    )
