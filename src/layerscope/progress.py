"""What a person sees and can do while a corpus is being read: a bar, and Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from layerscope.notebook import in_notebook

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")

# Seconds after which a notebook, which keeps what it once showed, shows a bar.
_PATIENCE = 0.5


class Bar:
    """A bar of rows, with tokens a second; without a place to draw on it does nothing."""

    def __init__(self, drawing: tqdm[Any] | None = None) -> None:
        self._drawing = drawing
        self._rows = 0 if drawing is None else int(drawing.n)  # of parts that are made
        self._open = 0  # texts that passed since; of longer ones each window counts
        self._start, self._tokens = time.monotonic(), 0

    def passed(self, texts: int, tokens: int) -> None:
        """So many texts and tokens have passed through the network."""
        self._open += texts
        self._tokens += tokens
        self._draw()

    def made(self, rows: int) -> None:
        """A part of so many rows lies in its place."""
        self._rows += rows
        self._open = max(self._open - rows, 0)
        self._draw()

    def _draw(self) -> None:
        if self._drawing is not None:
            speed = self._tokens / max(time.monotonic() - self._start, 1e-3)
            self._drawing.set_postfix_str(f"{speed:,.0f} tokens/s", refresh=False)
            self._drawing.update(self._rows + self._open - self._drawing.n)


@contextmanager
def shown(progress: bool | None, count: int | None, done: int = 0, what: str = "Extracting") -> Iterator[Bar]:
    """A bar on stderr: if asked for, or by default if that is a terminal or a notebook.

    Args:
        progress: whether to show it; None where a person is watching.
        count: the number of rows, where it is known.
        done: how many of them are there already.
        what: is being done.
    """
    if not _is_wanted(progress):
        yield Bar()
        return
    with _drawn(progress, total=count, initial=done, desc=what, unit="row") as drawing:
        yield Bar(drawing)


def tracked(items: Sequence[T], what: str, progress: bool | None) -> Iterator[T]:
    """The items, and on stderr a bar of them: if asked for, or by default if that is a terminal or a notebook."""
    if not _is_wanted(progress):
        yield from items
        return
    with _drawn(progress, total=len(items), desc=what) as drawing:
        for item in items:
            yield item
            drawing.update()


def _is_wanted(progress: bool | None) -> bool:
    return (sys.stderr.isatty() or in_notebook()) if progress is None else progress


def _drawn(progress: bool | None, **about: Any) -> tqdm[Any]:
    """A bar of text, which needs no widgets, and starts no thread of its own."""
    from tqdm import tqdm

    class Quiet(tqdm):  # type: ignore[type-arg]
        monitor_interval = 0

    delay = _PATIENCE if progress is None and in_notebook() else 0
    return Quiet(file=sys.stderr, dynamic_ncols=True, miniters=1, delay=delay, **about)


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
