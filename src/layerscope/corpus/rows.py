"""`Rows`: some consecutive rows of a corpus, and how a stream of them is cut into fixed ranges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layerscope.corpus.digest import Digest

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, eq=False)
class Rows:
    """Consecutive rows of a corpus.

    `texts` and `pairs` (None where there are none) are as found: strings, or whatever stood there. `kept` has
    the columns asked for by id= and keep=; it may have none, so the number of rows is `len(rows)`.
    """

    start: int  # number of the first row in the corpus, from 0
    texts: list[Any]
    pairs: list[Any] | None
    kept: pa.Table

    @classmethod
    def of(cls, texts: list[Any], pairs: list[Any] | None = None, start: int = 0) -> Rows:
        """Rows of which nothing is kept."""
        return cls(start, texts, pairs, arrow().table({}))

    def __len__(self) -> int:
        return len(self.texts)

    def digest(self) -> str:
        """SHA-256 of texts, pairs and kept columns with their names and types, as hexadecimal digits.

        The same rows have the same digest whatever they were read from, and wherever they start.
        """
        digest = Digest()
        digest.add_list(self.texts)
        if self.pairs is not None:
            digest.add_name("pairs")
            digest.add_list(self.pairs)
        for name, column in zip(self.kept.column_names, self.kept.columns, strict=True):
            digest.add_name(f"column {name}")
            digest.add_column(column)
        return digest.hexdigest()

    def part(self, first: int, number: int) -> Rows:
        """At most `number` of these rows, from the one at `first` on."""
        if first == 0 and number >= len(self):
            return self
        return Rows(
            start=self.start + first,
            texts=self.texts[first : first + number],
            pairs=None if self.pairs is None else self.pairs[first : first + number],
            kept=self.kept.slice(first, number),
        )


def in_ranges(blocks: Iterable[Rows], size: int) -> Iterator[Rows]:
    """The rows of these consecutive blocks in ranges of exactly `size`; the last may be shorter."""
    waiting: list[Rows] = []
    missing = size
    for block in blocks:
        first = 0
        while first < len(block):
            part = block.part(first, missing)
            first += len(part)
            missing -= len(part)
            waiting.append(part)
            if missing == 0:
                yield joined(waiting)
                waiting, missing = [], size
    if waiting:
        yield joined(waiting)


def joined(parts: list[Rows]) -> Rows:
    """Consecutive rows as one."""
    if len(parts) == 1:
        return parts[0]
    pairs = None
    if parts[0].pairs is not None:
        pairs = [pair for part in parts for pair in part.pairs or []]
    return Rows(
        start=parts[0].start,
        texts=[text for part in parts for text in part.texts],
        pairs=pairs,
        kept=arrow().concat_tables([part.kept for part in parts]),
    )


def arrow() -> Any:
    """The module pyarrow, imported when it is first used."""
    import pyarrow

    return pyarrow
