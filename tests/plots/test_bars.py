import pandas as pd

from layerscope.plots.bars import bars

VALUES = pd.Series([0.9, 0.5, -0.3], index=["ghost", "ghost", "$x_1$"])


def test_the_first_bar_is_on_top_and_each_has_its_number():
    ax = bars(VALUES, title="nearest", xlabel="cosine", ylabel="token")
    assert [bar.get_width() for bar in ax.patches] == list(VALUES)
    assert [text.get_text() for text in ax.texts] == ["0.900", "0.500", "-0.300"]
    low, high = ax.get_ylim()
    assert low > high
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("nearest", "cosine", "token")


def test_names_are_shown_as_they_are():
    ax = bars(VALUES, title="", xlabel="", ylabel="")
    ax.figure.canvas.draw()
    labels = ax.get_yticklabels()
    assert [label.get_text() for label in labels] == list(VALUES.index)
    assert not any(label.get_parse_math() for label in labels)


def test_nothing_to_draw():
    assert not bars(VALUES[:0], title="", xlabel="", ylabel="").patches
