"""An actor: it loads the model, proves that it is the driver's, and makes parts."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import torch

from layerscope.corpus.corpus import Corpus
from layerscope.corpus.rows import Rows
from layerscope.errors import InputError, StorageError
from layerscope.extraction.extractor import ExtractorRecipe
from layerscope.extraction.tasks import Task, compare
from layerscope.store.folder import Folder
from layerscope.store.manifest import NAME
from layerscope.store.parquet import write_part
from layerscope.store.part import Part

# Tasks that an actor has at once: one passes the network while the other reads or writes.
AT_ONCE = 2

# Seconds until a file that was written on another machine must be seen here.
_SEEN = 10.0


@dataclass(frozen=True, eq=False)
class Spec:
    """What all actors of a run are told: how to make the extractor and where, of what corpus, into which folder.

    The corpus is None where rows are sent. The checksum of the folder's manifest shows whether it is shared.
    """

    extractor: ExtractorRecipe
    device: str
    threads: int
    corpus: Corpus | None
    folder: Folder
    manifest_sha256: str


class PartActor:
    """Makes the parts of some tasks at once, but passes those of one at a time."""

    def begin(self, spec: Spec) -> str:
        """Get ready; returns the node's id."""
        import ray

        torch.set_num_threads(spec.threads)
        self._spec, self._passing, self._reading = spec, threading.Lock(), threading.Lock()
        self._rows: Iterator[Rows] = iter(())
        self._next = -1  # the number of the row at which they go on
        self._check_folder()
        self._extractor = spec.extractor.make(spec.device)
        return str(ray.get_runtime_context().get_node_id())

    def make(self, task: Task, failed: Mapping[int, str], suspects: range | None) -> Part | None:
        """Make a part, whose rows in `failed` have these errors; one that is there is compared, and gives None.

        Of `suspects` nothing is kept: they are run one by one, to see whether one kills.
        """
        rows = self._read(task)
        if suspects is not None:
            for row in suspects:
                deque(self._tables(rows.part(row - rows.start, 1), failed), maxlen=0)
            return None
        if task.before is not None:
            compare(task.before, rows)
            return None
        tables = self._tables(rows, failed)
        return write_part(self._spec.folder, task.number, rows, tables, self._extractor.columns.schema)

    def _tables(self, rows: Rows, failed: Mapping[int, str]) -> Iterator[pa.Table]:
        for block in replace(self._extractor.reader, failed=failed).blocks(rows):
            with self._passing:
                table = self._extractor.table(block)
            yield table

    def _read(self, task: Task) -> Rows:
        """The rows of a task; those of a reference from where the last one ended, if it follows."""
        if task.rows is not None:
            return task.rows
        assert self._spec.corpus is not None
        with self._reading:
            try:
                if task.start != self._next:
                    self._rows = self._spec.corpus.chunks(task.count, task.start)
                rows = next(self._rows, Rows.of([]))
            except InputError as error:
                raise InputError(f"On a node of the Ray cluster: {error}") from error
            self._next = task.start + task.count
        if len(rows) != task.count:
            raise InputError(f"The corpus became shorter: it ends before row {task.start + task.count - 1}.")
        return rows

    def _check_folder(self) -> None:
        folder, end = self._spec.folder, time.monotonic() + _SEEN
        while not folder.holds(NAME, self._spec.manifest_sha256):
            if time.monotonic() > end:
                raise StorageError(
                    f"A node of the Ray cluster does not see what was written to {folder.name}: engine='ray' needs a "
                    "folder or an object store that all machines share."
                )
            time.sleep(_SEEN / 100)
