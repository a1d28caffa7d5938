"""Running the command in this process."""

import io
import sys
import warnings

import pytest

from layerscope.cli import main


@pytest.fixture(autouse=True)
def pipe(monkeypatch):
    """What is printed is as wide as in a pipe, whatever runs the tests."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def command(capsys, monkeypatch):
    """Run the command: exit code, stdout, stderr."""

    def run(*words, stdin=""):
        monkeypatch.setattr(sys, "argv", ["layerscope", *map(str, words)])
        monkeypatch.setattr(
            sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin if isinstance(stdin, bytes) else stdin.encode()))
        )
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run
