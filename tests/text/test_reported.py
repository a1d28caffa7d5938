"""Offsets that a tokenizer reports are believed only where they can be true."""

import numpy as np
import pytest

from layerscope.text.reported import can_be_believed


def believed(text, *reported):
    """Each token as what it spells (None: unknown), its start and its end."""
    spelt = [piece.encode() if isinstance(piece, str) else piece for piece, _, _ in reported]
    offsets = np.array([place for _, *place in reported], dtype=np.int64).reshape(-1, 2)
    return can_be_believed(text, spelt, offsets)


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("", []),
        (" \x00", []),
        ("The cat", [("the", 0, 3), (" cat", 3, 7)]),
        ("The cat", [(" ", 0, 1), ("the", 0, 3), (" ", 4, 5), ("cat", 4, 7)]),  # ▁ on the letter that follows
        ("née", [("n", 0, 1), ("e", 1, 2), ("\u0301", 1, 2), ("e", 2, 3)]),
        ("½ ﬁn", [("1", 0, 1), ("⁄", 0, 1), ("2", 0, 1), ("f", 2, 3), ("in", 2, 4)]),
        ("½½", [("1⁄", 0, 1), ("21", 0, 2), ("⁄2", 1, 2)]),
        ("½", [("1", 0, 1), (None, 0, 1), ("2", 0, 1)]),
        ("a ☃☃", [("a", 0, 1), (None, 2, 4)]),
        ("a ☃ ``", [("a", 0, 1), (None, 2, 3), ('"', 5, 6)]),
        ("☃``", [(None, 0, 1), ('"', 2, 3)]),
        ("é☃", [("é", 0, 1), (b"\xe2", 1, 2), (b"\x98\x83", 1, 2)]),
    ],
)
def test_what_can_be_true(text, reported):
    assert believed(text, *reported)


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("cat", [("cat", 0, 4)]),
        ("cat", [("cat", -1, 3)]),
        ("cat", [("cat", 3, 0)]),
        ("cat", [("cat", 0, 0)]),
        ("the cat", [("cat", 4, 7), ("the", 0, 3)]),
        ("the cat", [("the", 0, 3)]),  # letters left over
        ("the cat", [("the", 0, 7), ("cat", 0, 7)]),  # each says it is all of the text
        ("cat", [("ca", 0, 3), ("t", 2, 3)]),
        ("ab", [("a", 0, 1), ("b", 0, 2)]),
        ("½", [("1", 0, 1)]),  # a part, and nobody has the rest
        ("½ ½", [("1⁄2", 0, 1), ("1", 2, 3)]),
        ("½½", [(None, 0, 2), ("21", 0, 2)]),  # more than a character is shared
        ("☃☃", [(None, 0, 1)]),  # what is left over may be a part of the unknown
        ("☃ ☃", [(None, 0, 1), (None, 1, 2)]),
        ("☃☃", [(None, 0, 2), (None, 1, 2)]),
        ("☃", [(None, 0, 0)]),
        ("!?", [("?", 0, 1)]),  # other signs than the token's own, which stands beside them
        ("☃a", [("a", 0, 2)]),
        ("\x06⒜", [(b"\xe2", 0, 1), (b"\x92", 1, 2), (b"\x9c", 1, 2)]),
        ("☃é", [(b"\xa9", 0, 1), (b"\xc3", 1, 2)]),
        ("… .", [(".", 0, 1), (".", 0, 1), (".", 0, 1), (" ", 0, 1), (".", 2, 3)]),
    ],
)
def test_what_cannot_be_true(text, reported):
    assert not believed(text, *reported)


def test_as_many_offsets_as_tokens():
    assert not can_be_believed("a", [b"a"], np.zeros((2, 2), dtype=np.int64))
    assert not can_be_believed("a", [b"a"], np.zeros((1, 3), dtype=np.int64))
