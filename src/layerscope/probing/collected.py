"""The vectors of all examples from one pass, column by column on disk, so that memory holds one column at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import numpy as np

from layerscope.engine.stream import Streamed, stream
from layerscope.errors import InputError
from layerscope.model import Model
from layerscope.probing.labelled import Labelled
from layerscope.progress import shown
from layerscope.reduce.feature import Feature
from layerscope.reduce.pooling import Array


@dataclass(frozen=True, eq=False)
class Collected:
    """Columns of vectors on disk, float32 [example, width] each, row after row.

    Attributes:
        folder: where they are.
        widths: how wide each is, by its name.
        used: bool [example], false for words that have no token (or whose tokens were cut), and so no vector.
    """

    folder: Path
    widths: dict[str, int]
    used: Array

    def vectors(self, column: str) -> Array:
        """float32 [used example, width] of a column."""
        path, width = self.folder / column, self.widths[column]
        return np.fromfile(path, dtype=np.float32).reshape(-1, width)[self.used]


@contextmanager
def collected(
    model: Model, examples: Labelled, features: Sequence[Feature], long: str, progress: bool | None
) -> Iterator[Collected]:
    """Run the examples once, and keep the vectors of all features in a folder that is there inside the block.

    Raises:
        InputError: a text that cannot be run, or has no such vector.
        AlignmentError: the words of a text cannot be placed in its tokens.
    """
    names = [name for feature in features for name in feature.columns(model.num_layers)]
    widths: dict[str, int] = {}
    used: list[Array] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="layerscope-")))
        with ExitStack() as open_files:
            files = {name: open_files.enter_context((folder / name).open("wb")) for name in names}
            bar = open_files.enter_context(shown(progress, examples.num_texts, what="Passing"))
            for block in stream(model, examples.rows, features, long=long, passed=bar.passed):
                for name, file in files.items():
                    vectors, there = _vectors(block, name, examples.unit)
                    widths[name] = vectors.shape[1]
                    _write(file, vectors)
                used.append(there)
        yield Collected(folder, widths, np.concatenate(used))


def _vectors(block: Streamed, name: str, unit: str) -> tuple[Array, Array]:
    """float32 [example, width] of a block, and bool [example], whether each has a vector."""
    if unit == "word":
        return block.words(name)
    vectors = block.values(name)
    return vectors, np.ones(len(vectors), dtype=bool)


def _write(file: IO[bytes], vectors: Array) -> None:
    try:
        file.write(np.ascontiguousarray(vectors, dtype=np.float32).tobytes())
        file.flush()
    except OSError as error:
        raise InputError(
            f"The vectors cannot be kept in {Path(file.name).parent}: {error.strerror or error}. The environment "
            "variable TMPDIR names another place."
        ) from error
