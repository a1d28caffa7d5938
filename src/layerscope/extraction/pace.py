"""How many rows make a part: few enough that little is lost when a run is killed, whatever the model and machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from layerscope.corpus.rows import Rows
from layerscope.extraction.extractor import Extractor
from layerscope.reduce.pooling import UNPOOLED
from layerscope.text.tokens import Tokens

# About how large a part is to be, in bytes of features, and of how many rows at most.
_BYTES = 1 << 26
_ROWS = 4096

# How long a part is to take at most, about.
_SECONDS = 10.0

# How long is spent on timing, about, and on how many rows at most.
_TIMED = 0.25
_TIMED_ROWS = 64


def rows_a_part(extractor: Extractor, first: Rows | None) -> int:
    """A power of two: as many rows as take some seconds here, and are of a handy size.

    Args:
        extractor: what makes the parts.
        first: the first rows of the corpus, of which some are timed; None for an empty corpus.
    """
    tokens, seconds = _timed(extractor, first)
    most = min(_ROWS, _BYTES // _bytes(extractor, tokens), _SECONDS // seconds)
    rows = 1
    while 2 * rows <= most:
        rows *= 2
    return rows


def _timed(extractor: Extractor, first: Rows | None) -> tuple[float, float]:
    """Tokens and seconds a row, of the first ones, one window of each.

    Those of about the mean length are timed, together, as rows of like length will pass; alone they would take several
    times as long. They are as many as one alone says that there is time for.
    """
    lenient = replace(extractor.reader, on_error="row", long="cut")
    read = [] if first is None else [row.tokens for row in lenient.read(first) if row.tokens is not None]
    if not read:
        return 1.0, 1e-9
    tokens = sum(len(one) + one.num_cut for one in read) / len(read)
    usual = sorted(read, key=lambda one: abs(len(one) - tokens))
    extractor.values(usual[:1])  # the first pass takes longer: sites are found, memory is asked for
    alone = _seconds(extractor, usual[:1])
    together = usual[: max(1, min(_TIMED_ROWS, int(_TIMED / alone)))]
    seconds = alone if len(together) == 1 else _seconds(extractor, together)
    return tokens, seconds * tokens / sum(map(len, together))


def _seconds(extractor: Extractor, texts: Sequence[Tokens]) -> float:
    start = time.perf_counter()
    extractor.values(texts)
    return time.perf_counter() - start


def _bytes(extractor: Extractor, tokens: float) -> int:
    """What the features of a row take on disk, of so many tokens."""
    size = 0.0
    for feature in extractor.columns.features:
        vectors = tokens if feature.pooling in UNPOOLED else 1.0
        size += vectors * sum(
            extractor.columns.widths[name] for name in feature.columns(extractor.model.num_layers)
        )
    return max(int(size) * (2 if extractor.columns.column_dtype == "float16" else 4), 1)
