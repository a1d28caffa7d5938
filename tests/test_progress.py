import io
import sys

import pytest
from tqdm import tqdm

from layerscope import samples
from layerscope.extraction.extract import extract
from layerscope.progress import Bar


class Terminal(io.StringIO):
    """What a person looks at."""

    def isatty(self):
        return True


def test_rows_are_counted_as_they_pass_and_never_twice():
    with tqdm(total=60, initial=40, file=io.StringIO()) as drawing:
        bar = Bar(drawing)
        bar.passed(10, 500)
        assert drawing.n == 50
        bar.made(10)
        assert drawing.n == 50
        assert drawing.postfix.endswith("tokens/s")


def test_a_bar_is_on_stderr_where_a_person_is_watching(tiny, tmp_path, monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    extract(tiny("bert"), samples.texts(), tmp_path / "out")
    assert "Extracting" in terminal.getvalue()
    assert f"{len(samples.texts())}/{len(samples.texts())}" in terminal.getvalue()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("asked", "is_there"), [(None, False), (False, False), (True, True)])
def test_elsewhere_only_if_asked_for(tiny, tmp_path, monkeypatch, asked, is_there):
    quiet = io.StringIO()
    monkeypatch.setattr(sys, "stderr", quiet)
    extract(tiny("bert"), samples.texts()[:3], tmp_path / "out", progress=asked)
    assert ("Extracting" in quiet.getvalue()) == is_there
