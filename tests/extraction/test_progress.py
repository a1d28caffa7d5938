import io
import sys

import pytest

from layerscope import samples
from layerscope.extraction.extract import extract
from layerscope.extraction.progress import Bar


class Terminal(io.StringIO):
    """What a person looks at."""

    def isatty(self):
        return True


class Drawing:
    """What a bar draws on: keeps what it was last told."""

    def update(self, task, **what):
        self.told = what


def test_rows_are_counted_as_they_pass_and_never_twice(tiny, tmp_path):
    drawing = Drawing()
    bar = Bar(drawing, 0, rows=40)
    bar.passed(10, 500)
    assert drawing.told["completed"] == 50
    part = extract(tiny("bert"), samples.texts()[:10], tmp_path / "out").manifest.parts[0]
    bar.made(part)
    assert drawing.told["completed"] == 50
    assert drawing.told["speed"].endswith("tokens/s")


def test_a_bar_is_on_stderr_where_a_person_is_watching(tiny, tmp_path, monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
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
