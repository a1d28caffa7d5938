"""The parts of a corpus made on this machine: read and tokenised ahead, passed through the network, written behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pyarrow as pa

from layerscope.corpus.rows import Rows
from layerscope.engine.ahead import Behind, ahead
from layerscope.engine.reader import Block
from layerscope.engine.vectors import Passed
from layerscope.extraction.extractor import Extractor
from layerscope.extraction.tasks import Task
from layerscope.store.folder import Folder
from layerscope.store.parquet import write_part
from layerscope.store.part import Part

# Blocks that wait between reading and the network, and between the network and writing.
_WAITING = 2

# What makes the parts of tasks, into a folder, saying which parts are made and how many texts and tokens passed.
Engine = Callable[[Extractor, Iterable[Task], Folder, Callable[[Sequence[Part]], None], Passed], None]


def make_here(
    extractor: Extractor,
    tasks: Iterable[Task],
    folder: Folder,
    made: Callable[[Sequence[Part]], None],
    passed: Passed,
) -> None:
    """Make parts one after the other.

    Args:
        extractor: what makes the tables.
        tasks: what to make, each with its rows.
        folder: where to.
        made: called with each part when it lies in its place, in order, from the thread that writes.
        passed: called with the numbers of texts and tokens after each batch; if it raises, no further batch is run,
            what is whole is written, and its error is raised.
    """
    schema = extractor.columns.schema

    def write(number: int, rows: Rows, tables: Iterator[pa.Table]) -> None:
        made([write_part(folder, number, rows, tables, schema)])

    written: deque[Future[None]] = deque()
    with (
        ThreadPoolExecutor(1, "layerscope-write") as pool,
        ahead(_blocks(extractor, tasks), _WAITING) as blocks,
    ):
        writer: Behind[pa.Table, None] | None = None
        try:
            for number, rows, block in blocks:
                if writer is None:
                    writer = Behind(pool, partial(write, number, rows), _WAITING)
                if block is not None:
                    writer.take(extractor.table(block, passed))
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


def _blocks(extractor: Extractor, tasks: Iterable[Task]) -> Iterator[tuple[int, Rows, Block | None]]:
    """The blocks of parts in order, and None behind the last of each."""
    for task in tasks:
        assert task.rows is not None
        for block in extractor.reader.blocks(task.rows):
            yield task.number, task.rows, block
        yield task.number, task.rows, None
