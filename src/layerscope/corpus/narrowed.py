"""The first rows of a corpus, or some of its rows chosen at random."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from layerscope.corpus.columns import Source, Used
from layerscope.corpus.rows import Rows, joined

if TYPE_CHECKING:
    import pyarrow as pa


class _Narrowed:
    """A source that hands on some rows of another."""

    def __init__(self, source: Source, most: int) -> None:
        self.name, self.is_once, self.is_empty = source.name, source.is_once, source.is_empty
        self.columns, self.has_pairs = source.columns, source.has_pairs
        self.is_seekable = False
        self.count: int | None = None if source.count is None else min(source.count, most)
        self._source, self._most = source, most

    def schema(self, used: Used) -> pa.Schema:
        """As of the source."""
        return self._source.schema(used)


class First(_Narrowed):
    """The first `most` rows of a source."""

    def __init__(self, source: Source, most: int) -> None:
        super().__init__(source, most)
        self.is_seekable = source.is_seekable

    def read(self, used: Used, start: int, size: int) -> Iterator[Rows]:
        """The rows from number `start` on; no more of the source is read than has to be."""
        for block in self._source.read(used, start, size) if start < self._most else ():
            yield block.part(0, self._most - block.start)
            if block.start + len(block) >= self._most:
                return


class Sample(_Narrowed):
    """`most` rows of a source, each as likely as any other, in its order and numbered anew; the same for a seed.

    The source is read once, whatever its length, and only the rows of the sample are held (Vitter 1985, algorithm R).
    """

    def __init__(self, source: Source, most: int, seed: int) -> None:
        super().__init__(source, most)
        self._seed = seed

    def read(self, used: Used, start: int, size: int) -> Iterator[Rows]:
        """The rows of the sample from number `start` on."""
        chance = random.Random(self._seed)
        held: list[Rows] = []
        for block in self._source.read(used, 0, size):
            for place in range(len(block)):
                number = block.start + place
                slot = len(held) if number < self._most else chance.randrange(number + 1)
                if slot < self._most:
                    held[slot : slot + 1] = [_copied(block, place)]
        held.sort(key=lambda row: row.start)
        chosen = [Rows(number, row.texts, row.pairs, row.kept) for number, row in enumerate(held)][start:]
        if chosen:
            yield joined(chosen)


def _copied(block: Rows, place: int) -> Rows:
    """One row by itself, which does not keep its block in memory."""
    kept: Any = block.kept.take([place])
    return Rows(
        block.start + place,
        block.texts[place : place + 1],
        block.pairs and block.pairs[place : place + 1],
        kept,
    )


def narrowed(source: Source, limit: int | None, sample: int | None, seed: int) -> Source:
    """The first `limit` rows of a source, or `sample` rows of these."""
    if limit is not None:
        source = First(source, limit)
    return source if sample is None else Sample(source, sample, seed)
