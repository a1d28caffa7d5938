"""Where the command prints: data on stdout, notes and waiting on stderr."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType


# Letters of a line in a pipe.
_WIDEST = 10_000


def show(renderable: RenderableType) -> None:
    """Print for a person: colours on a terminal; in a pipe plain text, one line a row, however long."""
    from rich.console import Console

    console = Console(soft_wrap=False)
    if console.is_terminal:
        console.print(renderable)
        return
    width = console.width if "COLUMNS" in os.environ else _WIDEST
    console = Console(width=width, no_color=True, highlight=False)
    with console.capture() as captured:
        console.print(renderable)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    for number, line in enumerate(lines):
        is_rule = set(line.strip()) == {"─"}
        is_second_blank = not line and number and not lines[number - 1]
        if not is_rule and not is_second_blank:
            sys.stdout.write(f"{line}\n")


def show_json(value: Any) -> None:
    """Print as JSON, in UTF-8; numbers that are none (NaN, infinity) as null."""
    sys.stdout.write(json.dumps(_plain(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def note(text: str) -> None:
    """A line on stderr."""
    sys.stderr.write(f"{text}\n")


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Say on stderr that something takes a while, if a person is watching."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


def _plain(value: Any) -> Any:
    """Values as JSON knows them."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
