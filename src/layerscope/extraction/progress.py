"""What a person sees and can do while a corpus is being read: a bar, and Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from layerscope.extraction.part import Part

T = TypeVar("T")


class Bar:
    """A bar of rows, with tokens a second; without a terminal to draw on it does nothing."""

    def __init__(self, drawing: Any = None, task: Any = None, rows: int = 0) -> None:
        self._drawing, self._task = drawing, task
        self._rows = rows  # of parts that are made
        self._open = 0  # texts that passed since; of longer ones each window counts
        self._start, self._tokens = time.monotonic(), 0

    def passed(self, texts: int, tokens: int) -> None:
        """So many texts and tokens have passed through the network."""
        self._open += texts
        self._tokens += tokens
        self._draw()

    def made(self, part: Part) -> None:
        """A part lies in its place."""
        self._rows += part.rows
        self._open = max(self._open - part.rows, 0)
        self._draw()

    def _draw(self) -> None:
        if self._drawing is not None:
            speed = self._tokens / max(time.monotonic() - self._start, 1e-3)
            self._drawing.update(
                self._task, completed=self._rows + self._open, speed=f"{speed:,.0f} tokens/s"
            )


@contextmanager
def shown(progress: bool | None, count: int | None, done: int = 0, what: str = "Extracting") -> Iterator[Bar]:
    """A bar on stderr: if asked for, or by default if that is a terminal.

    Args:
        progress: whether to show it; None where a person is watching.
        count: the number of rows, where it is known.
        done: how many of them are there already.
        what: is being done.
    """
    if not (sys.stderr.isatty() if progress is None else progress):
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as drawing:
        task = drawing.add_task(what, total=count, completed=done, speed="")
        yield Bar(drawing, task, done)


def tracked(items: Sequence[T], what: str, progress: bool | None) -> Iterator[T]:
    """The items, and on stderr a bar of them: if asked for, or by default if that is a terminal."""
    if not (sys.stderr.isatty() if progress is None else progress):
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, what, console=Console(stderr=True))


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Let Ctrl-C wait for a good moment: the call it gives raises `KeyboardInterrupt` if there was one.

    A second Ctrl-C does not wait. Only the main thread hears of Ctrl-C; in another nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    wanted = threading.Event()

    def on_signal(number: int, frame: Any) -> None:
        if wanted.is_set():
            raise KeyboardInterrupt
        wanted.set()

    def raise_if_wanted() -> None:
        if wanted.is_set():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield raise_if_wanted
    finally:
        signal.signal(signal.SIGINT, before)
    raise_if_wanted()
