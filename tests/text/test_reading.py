"""A text is read as given tokens in the only way there is, or not at all."""

import pytest

from layerscope.text.reading import Unit, read, read_bytes, units_of


def spelt(*pieces):
    return [piece.encode() if isinstance(piece, str) else piece for piece in pieces]


@pytest.mark.parametrize(
    ("text", "pieces", "expected"),
    [
        ("the cat", ("the", " cat"), [(0, 3), (3, 7)]),
        ("the cat", (" the", " cat"), [(0, 3), (3, 7)]),  # one space was put before the text
        ("the cat", (" ", "the", " ", "cat"), [(0, 0), (0, 3), (3, 4), (4, 7)]),
        ("é☃", (b"\xc3", b"\xa9\xe2", b"\x98\x83"), [(0, 1), (0, 2), (1, 2)]),
        ("", (), []),
        ("", (" ",), [(0, 0)]),
        ("the cat", ("the", "cat"), None),
        ("The", ("the",), None),
        ("the", (None,), None),
    ],
)
def test_tokens_that_spell_every_byte(text, pieces, expected):
    assert read_bytes(text, spelt(*pieces)) == expected


@pytest.mark.parametrize(
    ("text", "pieces", "expected"),
    [
        ("The  cat.", ("the", "cat", "."), [(0, 3), (5, 8), (8, 9)]),
        ("Ünïcode", ("uni", "code"), [(0, 3), (3, 7)]),
        ("née ne\u0301e", ("née", "ne", "\u0301", "e"), [(0, 3), (4, 6), (6, 7), (7, 8)]),
        ("ﬁne ½ …", ("f", "ine", "1", "⁄", "2", ".", ".."), [(0, 1), (0, 3), *[(4, 5)] * 3, (6, 7), (6, 7)]),
        ("é", ("e", "\u0301"), [(0, 1), (0, 1)]),
        ("a\u200bb", ("ab",), [(0, 3)]),
        ("a-b", ("a", "b"), [(0, 1), (2, 3)]),  # a tokenizer may drop signs
        ("☃ the ☃", (None, "the", None), [(0, 2), (2, 5), (5, 7)]),
        ("½", ("1", None, "2"), [(0, 1), (0, 1), (0, 1)]),
        ("the ☃\ufe0f", ("the", None, "\ufe0f"), [(0, 3), (3, 5), (5, 6)]),
        ("ab ☃", ("a", "b", " ", b"\xe2\x98", b"\x83"), [(0, 1), (1, 2), (2, 3), (3, 4), (3, 4)]),
    ],
)
def test_the_only_reading(text, pieces, expected):
    assert read(text, spelt(*pieces)) == expected


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("the cat", ("the", "dog")),
        ("the cat", ("the",)),
        ("the cat", ("cat", "the")),
        ("the old cat", ("the", "cat")),
        ("the", ("the", "the")),
    ],
)
def test_no_reading(text, pieces):
    assert read(text, spelt(*pieces)) is None


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a,,b", ("a", ",", "b")),
        ("☃ the ☃ the ☃", (None, "the", None)),
        (
            "☃ The ☃the☃",
            (None, "the", None),
        ),  # as written there is one; of a lower-casing tokenizer there are two
        ("☃☃", (None, None)),
        ("a\u0301☃", ("a", None)),  # the mark may be stripped, or be a part of what is unknown
    ],
)
def test_more_than_one_reading(text, pieces):
    assert read(text, spelt(*pieces)) is None


def test_units_spell_whole_characters():
    pieces = spelt("a", b"\xe2", b"\x98", b"\x83", None, b"\xe2", None, b"\x98", b"\xe2\x98")
    assert units_of(pieces) == [
        Unit(0, 1, "a"),
        Unit(1, 4, "☃"),
        Unit(4, 5, None),
        Unit(5, 6, None),
        Unit(6, 7, None),
        Unit(7, 8, None),
        Unit(8, 9, None),
    ]
