import pytest

from layerscope.shown import shorten, visible


@pytest.mark.parametrize(
    ("string", "shown"),
    [(" ghost", "·ghost"), ("\n", "⏎"), ("a\tb", "a⇥b"), ("", "∅"), ("\x00", "\\x00"), ("é", "é")],
)
def test_white_space_is_made_visible(string, shown):
    assert visible(string) == shown


def test_what_is_too_long_is_cut():
    assert shorten("ghost", 5) == "ghost"
    assert shorten("ghosts", 5) == "ghos…"
