"""The parts of a corpus made on this machine: read and tokenised ahead, passed through the network, written behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pyarrow as pa

from layerscope.engine.ahead import Behind, ahead
from layerscope.engine.reader import Block
from layerscope.engine.vectors import Passed
from layerscope.extraction.folder import Folder
from layerscope.extraction.maker import Maker
from layerscope.extraction.part import Part
from layerscope.extraction.parts import Todo, write_part

# Blocks that wait between reading and the network, and between the network and writing.
_WAITING = 2

# What makes parts: with a maker, into a folder, saying which part is made and how many texts and tokens passed.
Engine = Callable[[Maker, Iterable[Todo], Folder, Callable[[Part], None], Passed], None]


def make_here(
    maker: Maker,
    parts: Iterable[Todo],
    folder: Folder,
    made: Callable[[Part], None],
    passed: Passed,
) -> None:
    """Make parts one after the other.

    Args:
        maker: what makes the tables.
        parts: what to make.
        folder: where to.
        made: called with each part when it lies in its place, in order, from the thread that writes.
        passed: called with the numbers of texts and tokens after each batch; if it raises, no further batch is run,
            what is whole is written, and its error is raised.
    """
    schema = maker.columns.schema

    def write(part: Todo, tables: Iterator[pa.Table]) -> None:
        made(write_part(folder, part, tables, schema))

    written: deque[Future[None]] = deque()
    with ThreadPoolExecutor(1, "layerscope-write") as pool, ahead(_blocks(maker, parts), _WAITING) as blocks:
        writer: Behind[pa.Table, None] | None = None
        try:
            for part, block in blocks:
                if writer is None:
                    writer = Behind(pool, partial(write, part), _WAITING)
                if block is not None:
                    writer.take(maker.table(block, passed))
                    continue
                written.append(writer.end())
                writer = None
                while len(written) > 1 or (written and written[0].done()):
                    written.popleft().result()
        except BaseException as error:
            if writer is not None:
                writer.end(error)
            raise
        for future in written:
            future.result()


def _blocks(maker: Maker, parts: Iterable[Todo]) -> Iterator[tuple[Todo, Block | None]]:
    """The blocks of parts in order, and None behind the last of each."""
    for part in parts:
        for block in maker.reader.blocks(part.rows):
            yield part, block
        yield part, None
