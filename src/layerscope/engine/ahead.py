"""Work that is done ahead, or behind, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
R = TypeVar("R")

# How often one who waits looks whether the other still lives, in seconds.
_LOOK = 0.1

# How long one who stops waits for the other to notice, in seconds.
_PATIENCE = 5.0


class _End:
    """Nothing more comes; with an error, because of it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


@contextmanager
def ahead(items: Iterable[T], most: int) -> Iterator[Iterator[T]]:
    """The items, made in a thread while the last ones are being used; at most `most` of them wait.

    An error on the way to an item is raised where that item would have come.
    """
    waiting: queue.Queue[T | _End] = queue.Queue(most)
    stop = threading.Event()

    def put(item: T | _End) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=_LOOK)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    return
            put(_End())
        except BaseException as error:
            put(_End(error))

    def given() -> Generator[T]:
        while not isinstance(item := waiting.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    thread = threading.Thread(target=work, name="layerscope-ahead", daemon=True)
    thread.start()
    try:
        with closing(given()) as iterator:
            yield iterator
    finally:
        stop.set()
        thread.join(_PATIENCE)  # it may be waiting for a terminal or a pipe that says nothing more


class Behind(Generic[T, R]):
    """Something that uses up items in a thread while more are made: `take` items, then ask for the `result`."""

    def __init__(self, pool: ThreadPoolExecutor, use: Callable[[Iterator[T]], R], most: int) -> None:
        """`use` gets an iterator of the items; at most `most` of them wait for it."""
        self._waiting: queue.Queue[T | _End] = queue.Queue(most)
        self._future: Future[R] = pool.submit(lambda: use(self._items()))

    def take(self, item: T) -> None:
        """Hand an item over; raises the error of the other side if there was one."""
        self._put(item)

    def end(self, error: BaseException | None = None) -> Future[R]:
        """Nothing more comes. With an error the other side sees that error in place of an item."""
        self._put(_End(error))
        return self._future

    def _put(self, item: T | _End) -> None:
        while True:
            if self._future.done():
                self._future.result()
                return
            try:
                self._waiting.put(item, timeout=_LOOK)
                return
            except queue.Full:
                continue

    def _items(self) -> Iterator[T]:
        while not isinstance(item := self._waiting.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
