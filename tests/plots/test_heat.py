import pandas as pd
import pytest

from layerscope.errors import MissingExtraError
from layerscope.plots.heat import heat, heats

TABLE = pd.DataFrame([[1.0, 0.25], [0.5, 1.0]], index=["river", "money"], columns=["a", "b"])


def test_a_heat_map_shows_its_labels_and_numbers():
    ax = heat(TABLE, "Uses of “bank”")
    assert ax.get_title() == "Uses of “bank”"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["river", "money"]
    assert [text.get_text() for text in ax.texts] == ["1.00", "0.25", "0.50", "1.00"]


def test_several_side_by_side():
    figure = heats({"one": TABLE, "two": TABLE.T})
    assert [ax.get_title() for ax in figure.axes[:2]] == ["one", "two"]
    figure.canvas.draw()


def test_without_seaborn_the_message_names_the_packages(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "seaborn", None)
    with pytest.raises(
        MissingExtraError,
        match="pip install seaborn matplotlib$",
    ):
        heat(TABLE, "x")
