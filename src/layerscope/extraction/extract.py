"""READ SECOND. From a corpus to a folder of features: `extract` is the path, one station a line."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from layerscope.arguments import checked
from layerscope.corpus.corpus import Corpus, open_corpus
from layerscope.corpus.rows import in_ranges, joined
from layerscope.errors import InputError, MissingRowsWarning, unknown
from layerscope.extraction.job import settle
from layerscope.extraction.local import Engine, make_here
from layerscope.extraction.settings import Settings
from layerscope.extraction.tasks import references, tasks
from layerscope.progress import interruptible, shown
from layerscope.reduce.feature import Feature
from layerscope.store.features import Features, open_features
from layerscope.store.folder import Folder
from layerscope.store.part import Part
from layerscope.store.record import Record

if TYPE_CHECKING:
    from layerscope.model import Model

ENGINES = ("local", "ray")

# Rows that are read at once where those of a part are not known yet, and that are known before the first part.
_READ, _FIRST = 64, 256


@checked
def extract(
    model: Model,
    source: Any,
    out: str | PurePath,
    features: str | Feature | Sequence[str | Feature] = ("mean@-1",),
    *,
    text: str | None = None,
    pair: str | None = None,
    id: str | None = None,
    keep: Sequence[str] | None = None,
    segment: str = "line",
    dtype: str | None = None,
    column_dtype: str = "float32",
    long: str = "window",
    on_error: str = "row",
    part_rows: int | None = None,
    batch_tokens: int | None = None,
    engine: str = "local",
    address: str | None = None,
    progress: bool | None = None,
) -> Features:
    """Turn a corpus into features, one row a text, in a folder of Parquet parts; run again, it goes on.

    Whatever ends it (Ctrl-C, a crash, a full disk), the same call continues behind the last whole part, and the
    folder is in the end the same as if nothing had happened. It refuses to continue with anything else.

    Args:
        model: what computes them.
        source: texts, pairs, dicts, tables, files, addresses: see `open_corpus`.
        out: the folder, or an address that fsspec knows.
        features: what to compute, as `POOLING@LAYERS[/COMBINE]`; the pass goes as deep as the deepest layer.
        text, pair, id, keep, segment: which columns of the corpus to read, and to keep: see `open_corpus`.
        dtype: the precision that the network runs in; as it was loaded if left out. "float32", "bfloat16" or
            "float16"; or "auto" for bfloat16 where the hardware has it and a check on a sample of this corpus finds
            every vector to have a cosine of at least 0.999 to float32's.
        column_dtype: the precision of the columns, "float32" or "float16".
        long: what to do with texts longer than the context window: "window", "cut" or "error".
        on_error: "row", a row that fails says why in its column "error"; or "raise".
        part_rows: rows a part; if left out, so many that a part takes some seconds here and is of a handy size.
            What was chosen stands in the manifest, and is gone on with.
        batch_tokens: tokens a batch; chosen by the machine if left out.
        engine: "local", or "ray" for a Ray cluster (the extra `ray`), whose workers read Parquet files and documents
            themselves; see docs/scale.md for what it must have.
        address: of the Ray cluster; one is started here if left out.
        progress: show a bar on stderr; if left out, when that is a terminal or a notebook.

    Returns:
        the features, as `open_features(out)` gives them.

    Raises:
        InputError: arguments that do not fit each other, the model or the corpus.
        ModelError: the model does not give these features.
        StorageError: the folder cannot be written, is being written to, or holds another extraction.

    >>> import layerscope as ls, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     features = ls.extract(ls.load(), ["Seeing is believing.", "A ghost."], folder, ["mean@-1", "cls@all"])
    ...     features.to_numpy("mean_6").shape
    (2, 384)
    """
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if address is not None and engine != "ray":
        raise InputError("address= names a Ray cluster; give engine='ray' with it.")
    corpus = open_corpus(source, text=text, pair=pair, id=id, keep=keep or (), segment=segment)
    asked = Settings.of(
        features,
        corpus.asked,
        dtype=dtype,
        column_dtype=column_dtype,
        long=long,
        on_error=on_error,
        part_rows=part_rows,
        batch_tokens=batch_tokens,
    )
    make = _engine(engine, address, model, corpus)
    folder = Folder.at(out)
    with folder.locked():
        before = folder.read_manifest()
        if before is not None and not before.parts:
            before = None  # a folder that holds no part yet may begin anew, whatever it was begun with
        known = asked.part_rows or (before and int(before.settings["part_rows"]))
        rows = corpus.chunks(known or _READ)
        first = list(itertools.islice(rows, 1 if known else _FIRST // _READ))
        job = settle(model, corpus, joined(first) if first else None, asked, before)
        record = Record(folder, job.manifest)
        there = record.before.parts
        if engine == "ray" and corpus.is_seekable and corpus.count is not None:
            todo = references(corpus.count, job.part_rows, there)
        else:
            todo = tasks(in_ranges(itertools.chain(first, rows), job.part_rows), there)
        with shown(progress, corpus.count, record.totals["rows"]) as bar, interruptible() as interrupted:

            def made(parts: Sequence[Part]) -> None:
                record.note(batch_tokens=job.extractor.budget.tokens)
                record.add(parts)
                bar.made(sum(part.rows for part in parts))

            def passed(texts: int, tokens: int) -> None:
                bar.passed(texts, tokens)
                interrupted()

            make(job.extractor, todo, folder, made, passed)
        record.complete()
    features_made = open_features(out)
    if corpus.is_once and not len(features_made):
        warnings.warn(
            f"No rows: {corpus.name} can be read only once, and may have been read before.",
            MissingRowsWarning,
            stacklevel=3,
        )
    return features_made


def _engine(engine: str, address: str | None, model: Model, corpus: Corpus) -> Engine:
    """What makes the parts: this process, or those of a Ray cluster."""
    if engine == "local":
        return make_here
    from layerscope.extraction.ray.cluster import on_ray

    return on_ray(model, corpus, address)
