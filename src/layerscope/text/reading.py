"""Reading a text as given tokens: where each must stand for the text to be what they spell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from layerscope.text.words import Fold, bare, decomposed, is_mark, is_visible

Range = tuple[int, int]
Spelt = Sequence[bytes | None]


@dataclass(frozen=True)
class Unit:
    """The shortest run of tokens `first:stop` that spells whole characters; `text` is None if unknown."""

    first: int
    stop: int
    text: str | None


def units_of(spelt: Spelt) -> list[Unit]:
    """The units that tokens make up, each token in one."""
    units: list[Unit] = []
    first, pending = 0, b""
    for index, piece in enumerate(spelt):
        if piece is None:
            if pending:
                units.append(Unit(first, index, None))
            units.append(Unit(index, index + 1, None))
            first, pending = index + 1, b""
            continue
        pending += piece
        try:
            whole: str | None = pending.decode()
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data":
                continue  # a character is not complete yet
            whole = None
        units.append(Unit(first, index + 1, whole))
        first, pending = index + 1, b""
    if pending:
        units.append(Unit(first, len(spelt), None))
    return units


def read_bytes(text: str, spelt: Spelt) -> list[Range] | None:
    """The places of tokens that spell the text byte for byte, perhaps after one space put before it."""
    if None in spelt:
        return None
    joined, wanted = b"".join(piece for piece in spelt if piece is not None), text.encode()
    lead = len(joined) - len(wanted)
    if lead not in (0, 1) or joined != b" " * lead + wanted:
        return None
    character = [0] * lead + [n for n, c in enumerate(text) for _ in c.encode()] + [len(text)]
    places, start = [], 0
    for piece in spelt:
        stop = start + len(piece or b"")
        end = character[stop - 1] + 1 if stop > max(start, lead) else character[start]
        places.append((character[start], end))
        start = stop
    return places


def read(text: str, spelt: Spelt) -> list[Range] | None:
    """The only reading of a text as these tokens, None if there is none or more than one.

    It is read once from the left and once from the right, and the two must agree. Unknown tokens may hide
    any letters, so that beside them only the coarsest fold makes a reading the only one.
    """
    units = units_of(spelt)
    folds = (bare,) if any(unit.text is None for unit in units) else (decomposed, bare)
    for fold in folds:
        places = _read_folded(text, units, fold)
        if places is not None:
            pairs = zip(units, places, strict=True)
            return [own for unit, place in pairs for own in _within(unit, place, text, spelt)]
    return None


def folded(text: str, fold: Fold) -> tuple[str, list[int]]:
    """The folded text, and for each of its characters the position in the text that it comes from."""
    parts = [fold(character) for character in text]
    return "".join(parts), [position for position, part in enumerate(parts) for _ in part]


def _read_folded(text: str, units: list[Unit], fold: Fold) -> list[Range] | None:
    line, origin = folded(text, fold)
    wanted = [None if unit.text is None else "".join(map(fold, unit.text)) for unit in units]
    from_left = _walk(line, wanted)
    from_right = _walk(line[::-1], [None if want is None else want[::-1] for want in reversed(wanted)])
    if from_left is None or from_right is None:
        return None
    last, size = len(units) - 1, len(line)
    if from_left != {last - number: (size - b, size - a) for number, (a, b) in from_right.items()}:
        return None
    places: list[Range] = []
    end = reached = 0
    for number in [*from_left, len(units)]:
        a, b = from_left.get(number, (size, size))
        start = origin[a] if a < size else len(text)
        gap = (end, start)
        if a > reached:  # of one character (½ → 1 ⁄ 2) two neighbors and what is between them may share
            gap = (min(end, origin[reached]), max(start, origin[a - 1] + 1))
        between = _between(text, units[len(places) : number], *gap)
        if between is None:
            return None
        places += between
        if number < len(units):
            reached, end = b, origin[b - 1] + 1
            places.append((start, end))
    return places


def _walk(line: str, wanted: list[str | None]) -> dict[int, Range] | None:
    """For each unit that spells something, its first place after the one before, in the folded text.

    None if a unit is not there, or if letters are left over where there is no unknown unit.
    """
    places: dict[int, Range] = {}
    position, unknown = 0, False
    for number, want in enumerate(wanted):
        unknown = unknown or want is None
        if not want:
            continue
        start = line.find(want, position)
        if start < 0 or (not unknown and any(map(str.isalnum, line[position:start]))):
            return None
        places[number] = (start, start + len(want))
        position, unknown = start + len(want), False
    return places if unknown or not any(map(str.isalnum, line[position:])) else None


def _between(text: str, units: list[Unit], start: int, end: int) -> list[Range] | None:
    """The places of units that spell nothing to find them by, in the gap that they share; None if unclear.

    An unknown unit takes what those before and behind it leave.
    """
    unknown = [number for number, unit in enumerate(units) if unit.text is None]
    middle = unknown[0] if unknown else len(units)
    places: dict[int, Range] = {}
    for number in [*range(middle), *reversed(range(middle + 1, len(units)))]:
        known = units[number].text or ""
        shown, is_ahead = known.strip() or known, number < middle
        at = (text.find if is_ahead else text.rfind)(shown, start, end) if shown else -1
        if at < 0 and any(map(is_visible, shown)):
            return None
        place = (at, at + len(shown)) if at >= 0 else (start, start) if is_ahead else (end, end)
        start, end = (place[1], end) if is_ahead else (start, place[0])
        places[number] = place
    if len(unknown) > 1 or (unknown and start >= end):
        return None
    if unknown and is_mark(text[start]) and any(map(bare, text[start:end])):
        return None  # the mark of the character before may be a part of it or not
    places |= {middle: (start, end)} if unknown else {}
    return [places[number] for number in range(len(units))]


def _within(unit: Unit, place: Range, text: str, spelt: Spelt) -> list[Range]:
    """The ranges of the tokens of one unit: the characters that their bytes touch."""
    start, end = place
    pieces = spelt[unit.first : unit.stop]
    own = read_bytes(text[start:end], pieces) if len(pieces) > 1 else None
    return [place] * len(pieces) if own is None else [(start + a, start + b) for a, b in own]
