"""layerscope extract SOURCE… -o OUT."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerscope.cli.asked import Asked
from layerscope.cli.corpora import (
    ColumnDtype,
    CorpusOptions,
    Feature,
    Long,
    PairColumn,
    Precision,
    Sources,
)
from layerscope.cli.options import Json, ModelOptions, with_options
from layerscope.cli.output import note, show, show_json
from layerscope.errors import InputError

if TYPE_CHECKING:
    from layerscope.store.features import Features

NAME = "extract"
EXAMPLES = """Examples:\n
  layerscope extract reviews.csv -o features --feature mean@all --text review --keep label\n
  layerscope extract 'shards/*.parquet' -o features --feature cls@-1 --feature mean@-4:/concat --dtype auto\n
  layerscope extract novel.txt -o features --segment paragraph --feature words@8\n
  zcat big.jsonl.gz | layerscope extract - -o features --text body\n
The same command again goes on behind the last whole part. Exit code 1: every row failed. See also: layerscope plan,
layerscope check, layerscope search."""


@with_options
def command(
    model: ModelOptions,
    corpus: CorpusOptions,
    asked: Asked,
    source: Sources = None,
    out: Annotated[str | None, typer.Option("--out", "-o", help="The folder, or an address.")] = None,
    feature: Feature = None,
    pair: PairColumn = None,
    id: Annotated[str | None, typer.Option("--id", help="A column that identifies rows.")] = None,
    keep: Annotated[list[str] | None, typer.Option(help="A column to keep, as often as you like.")] = None,
    dtype: Precision = None,
    column_dtype: ColumnDtype = "float32",
    long: Long = "window",
    on_error: Annotated[str, typer.Option(help="A row that fails: row (it says why) or raise.")] = "row",
    part_rows: Annotated[int | None, typer.Option(help="Rows a part; chosen if left out.")] = None,
    batch_tokens: Annotated[int | None, typer.Option(help="Tokens a batch; chosen if left out.")] = None,
    engine: Annotated[str, typer.Option(help="local, or ray for a cluster of machines.")] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster, HOST:PORT; else one is started.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Turn a corpus into features: one pass, any layers, Parquet parts, never lost."""
    if engine != "ray":
        asked.refuse("address", why="without --engine ray")
    if not source or out is None:
        raise InputError("Give what to read and where to write: layerscope extract reviews.csv -o features")
    model.check(features=feature or ())
    texts = corpus.open(source, pair=pair, id=id, keep=keep or ())
    loaded = model.load()
    from layerscope.extraction.extract import extract

    start = time.perf_counter()
    try:
        features = extract(
            loaded,
            texts,
            out,
            feature or ["mean@-1"],
            dtype=dtype,
            column_dtype=column_dtype,
            long=long,
            on_error=on_error,
            part_rows=part_rows,
            batch_tokens=batch_tokens,
            engine=engine,
            address=address,
        )
    except KeyboardInterrupt:
        note("What is whole is written; the same command goes on from there.")
        raise
    seconds = time.perf_counter() - start
    if as_json:
        show_json(_summary(features) | {"seconds": round(seconds, 3)})
    else:
        _print(features, seconds)
    _say_errors(features)


def _summary(features: Features) -> dict[str, Any]:
    manifest = features.manifest
    return {
        "folder": features.folder.name,
        "rows": manifest.rows,
        "errors": manifest.errors,
        "tokens": manifest.tokens,
        "parts": len(manifest.parts),
        "bytes": sum(part.bytes for part in manifest.parts),
        "columns": list(manifest.settings["columns"]),
        "network": manifest.settings["dtype"],
        "precision_check": manifest.about["precision_check"],
    }


def _print(features: Features, seconds: float) -> None:
    from layerscope.view import terminal

    summary = _summary(features)
    check = summary.pop("precision_check")
    if check is not None:
        summary["network"] += f" ({check['why']})"
    summary["bytes"] = f"{summary['bytes']:,}"
    summary["columns"] = ", ".join(summary["columns"])
    summary["seconds"] = f"{seconds:.1f}"
    show(terminal.facts(summary))


def _say_errors(features: Features) -> None:
    """Say how many rows failed; end with 1 where all did."""
    rows, errors = len(features), features.num_errors
    if not rows:
        note("The corpus has no rows.")
    if not errors:
        return
    if errors < rows:
        note(f"{errors} of {rows} rows have an error; their column 'error' says which.")
        return
    batch = next(features.batches(1, columns=["error"]))
    note(f"Every row has an error ({rows} of {rows}). That of the first: {batch.column(0)[0].as_py()}")
    raise typer.Exit(1)
