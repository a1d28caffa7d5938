"""What an extraction will take, before anyone waits for it: tokens, time, disk, memory."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from layerscope.arguments import checked
from layerscope.corpus.corpus import open_corpus
from layerscope.engine.precision import name_of
from layerscope.engine.reader import Block, Read, Reader
from layerscope.engine.replicas import batch_tokens
from layerscope.errors import InputError
from layerscope.extraction.extractor import Extractor
from layerscope.extraction.job import prepared
from layerscope.extraction.settings import Settings
from layerscope.reduce.feature import Feature
from layerscope.result import Result
from layerscope.shown import counted

if TYPE_CHECKING:
    import pandas as pd

    from layerscope.corpus.rows import Rows
    from layerscope.model import Model

# Rows that are read at once; rows of which every token is counted, of longer corpora one chunk in several.
_CHUNK = 256
_COUNTED = 4096

# Tokens that are passed to take the time, at the most, after as many to warm up.
_TIMED = 8192

# Bytes that Python, torch and transformers take; blocks that are held at once; widths of temporaries of a block of
# the network, in hidden sizes (queries, keys, values, scores, the feed-forward part).
_LIBRARIES, _BLOCKS, _WIDTHS = 600 << 20, 3, 24

# Words a token has, about, where nothing else is known (all-MiniLM-L6-v2 on English prose: 1.3 tokens a word).
_WORDS_A_TOKEN = 0.75


@dataclass(frozen=True, repr=False)
class Plan(Result):
    """What an extraction will take.

    Attributes:
        rows: of the corpus; None if only tokens were given.
        tokens: counted, or from a sample.
        is_sampled: whether tokens come from a sample of the rows.
        errors: rows of the sample that have an error.
        rate: tokens a second, of one machine.
        machines: how many of them.
        network: the precision that the network runs in.
        bytes_a_row: by column, what a row takes on disk.
        memory: bytes that it needs at once: the network's weights, a block of rows, a batch.
    """

    rows: int | None
    tokens: float
    is_sampled: bool
    errors: int
    rate: float
    machines: int
    network: str
    bytes_a_row: dict[str, float]
    memory: float

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.tokens / self.rate / self.machines

    _calls = ".seconds, .memory, .table(), .to_dict()"

    def _holds(self) -> str:
        rows = "" if self.rows is None else f"{counted(self.rows, 'row')}, "
        return f"{rows}{self.tokens:,.0f} tokens, {self.seconds:,.0f} s at {self.rate:,.0f} tokens/s in {self.network}"

    def table(self) -> pd.DataFrame:
        """Disk by column: bytes a row, and bytes in all."""
        import pandas as pd

        table = pd.DataFrame({"bytes_a_row": pd.Series(self.bytes_a_row, dtype=float)})
        table["bytes"] = table["bytes_a_row"] * (self.rows or float("nan"))
        return table.rename_axis("column")

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        disk = {name: size * (self.rows or 0) for name, size in self.bytes_a_row.items()}
        return {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "seconds": self.seconds,
            "bytes": disk,
            "bytes_in_all": sum(disk.values()),
        }


@checked
def plan(
    model: Model,
    source: Any = None,
    features: str | Feature | Sequence[str | Feature] = ("mean@-1",),
    *,
    tokens: float | None = None,
    rows: int | None = None,
    rate: float | None = None,
    machines: int = 1,
    text: str | None = None,
    pair: str | None = None,
    id: str | None = None,
    keep: Sequence[str] | None = None,
    segment: str = "line",
    dtype: str | None = None,
    column_dtype: str = "float32",
    long: str = "window",
) -> Plan:
    """Say what an extraction will take: reads the corpus, counts tokens, and times some batches here.

    Of a large corpus every row is counted and the tokens of a sample of the rows. For a corpus or machines that
    are not here, give `tokens` (and `rows`), and the `rate` that one of the `machines` reaches.

    Args:
        model: what computes the features.
        source: the corpus, see `open_corpus`; may be left out where `tokens` is given.
        features: what to compute.
        tokens: how many there are.
        rows: over how many rows; only then is the size on disk known.
        rate: tokens a second of one machine; timed here on the corpus if left out.
        machines: how many machines share the work.
        text, pair, id, keep, segment, dtype, column_dtype, long: as for `extract`.

    Raises:
        InputError: neither a source nor tokens, or numbers below zero.

    >>> import layerscope as ls
    >>> made = ls.plan(ls.load(), ["Seeing is believing."] * 100, ["mean@all"])
    >>> made.rows, made.tokens
    (100, 600.0)
    """
    for name, number in (("tokens", tokens), ("rows", rows), ("rate", rate), ("machines", machines)):
        if number is not None and not number > 0:
            raise InputError(f"{name} is a number above zero, not {number!r}.")
    if source is None and (tokens is None or rate is None):
        raise InputError("Give a corpus, or tokens= and rate= for one that is not here.")
    corpus = open_corpus(
        [] if source is None else source, text=text, pair=pair, id=id, keep=keep or (), segment=segment
    )
    asked = Settings.of(features, corpus.asked, dtype=dtype, column_dtype=column_dtype, long=long)
    chunks = corpus.chunks(_CHUNK)
    first = list(islice(chunks, 4))
    extractor, _ = prepared(model, corpus, first[0] if first else None, asked, batch_tokens(model))
    found = _counted(replace(extractor.reader, on_error="row"), chain(first, chunks))
    if not found.rows and tokens is None:
        raise InputError("The corpus has no rows, so there is nothing to plan.")
    speed = rate if rate is not None else _rate(extractor, first)
    all_tokens = tokens if tokens is not None else found.tokens
    all_rows = rows if rows is not None else (found.rows or None if tokens is None else None)
    a_row = all_tokens / all_rows if all_rows else 0.0
    return Plan(
        rows=all_rows,
        tokens=float(all_tokens),
        is_sampled=tokens is None and found.counted < found.rows,
        errors=found.errors,
        rate=float(speed),
        machines=machines,
        network=name_of(extractor.model),
        bytes_a_row=_sizes(extractor, a_row, column_dtype),
        memory=_memory(model, extractor),
    )


@dataclass
class _Count:
    rows: int = 0
    counted: int = 0
    tokens: float = 0.0
    errors: int = 0


def _counted(reader: Reader, chunks: Iterable[Rows]) -> _Count:
    """Rows and tokens of a corpus: all of them, or one chunk in 2, 4, 8 … once it proves to be long."""
    count, every = _Count(), 1
    counted_tokens = 0
    for number, rows in enumerate(chunks):
        count.rows += len(rows)
        if number % every:
            continue
        read = reader.read(rows)
        counted_tokens += sum(len(row.tokens) for row in read if row.tokens is not None)
        count.counted += len(rows)
        count.errors += sum(row.error is not None for row in read)
        if count.counted >= _COUNTED * every.bit_length():
            every *= 2
    count.tokens = counted_tokens * count.rows / max(count.counted, 1)
    return count


def _rate(extractor: Extractor, chunks: Sequence[Rows]) -> float:
    """Tokens a second of some rows of the corpus, tokenising and making the table included."""
    blocks: list[Block] = []
    tokens = 0
    for rows in chunks:
        read = extractor.reader.read(rows)
        ends = tokens + np.cumsum([_length(row) for row in read])
        enough = int(np.searchsorted(ends, _TIMED)) + 1
        blocks.append(Block(rows.part(0, enough), read[:enough]))
        tokens = int(ends[:enough][-1])
        if tokens >= _TIMED:
            break
    if not tokens:
        raise InputError(
            "The first rows of the corpus have no tokens, so there is nothing to time: give rate=."
        )
    for block in blocks:
        extractor.table(block)
    start = time.perf_counter()
    for block in blocks:
        extractor.reader.read(block.rows)
        extractor.table(block)
    return tokens / (time.perf_counter() - start)


def _length(read: Read) -> int:
    return 0 if read.tokens is None else len(read.tokens)


def _sizes(extractor: Extractor, tokens_a_row: float, column_dtype: str) -> dict[str, float]:
    """Bytes a row of each feature's column."""
    width = 2 if column_dtype == "float16" else 4
    sizes = {}
    for feature in extractor.columns.features:
        vectors = {"tokens": tokens_a_row, "words": tokens_a_row * _WORDS_A_TOKEN}.get(feature.pooling, 1.0)
        for name in feature.columns(extractor.model.num_layers):
            sizes[name] = vectors * extractor.columns.widths[name] * width
    return sizes


def _memory(model: Model, extractor: Extractor) -> float:
    """Bytes: the libraries, the weights in each precision that is held, blocks on their way, a batch."""
    copies = [model.hf] if extractor.model is model else [model.hf, extractor.model.hf]
    weights = sum(one.numel() * one.element_size() for hf in copies for one in hf.parameters())
    batch = extractor.budget.tokens * model.hidden_size * _WIDTHS * extractor.model.hf.dtype.itemsize
    return float(_LIBRARIES + weights + _BLOCKS * extractor.block_bytes + batch)
