"""layerscope extract SOURCE… -o OUT."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerscope.cli.options import Json, ModelOptions, with_model
from layerscope.cli.output import note, show, show_json
from layerscope.errors import InputError

if TYPE_CHECKING:
    from layerscope.extraction.features import Features

NAME = "extract"
EXAMPLES = """Examples:\n
  layerscope extract reviews.csv -o features --feature mean@all --text review --keep label\n
  layerscope extract 'shards/*.parquet' -o features --feature cls@-1 --feature mean@-4:/concat --dtype auto\n
  layerscope extract novel.txt -o features --unit paragraph --feature words@8\n
  zcat big.jsonl.gz | layerscope extract - -o features --text body\n
  layerscope extract --check features\n
The same command again goes on behind the last whole part."""

Sources = Annotated[
    list[str] | None,
    typer.Argument(
        help="Files, folders, globs or addresses: text, CSV, TSV, JSON lines, Parquet, Arrow; - for stdin.",
        show_default=False,
    ),
]
Feature = Annotated[
    list[str] | None,
    typer.Option(
        "--feature",
        "-f",
        help="POOLING@LAYERS or POOLING@LAYERS/COMBINE, as often as you like; mean@-1 if left out.",
        show_default=False,
    ),
]
Text = Annotated[str | None, typer.Option(help="The column of texts.")]
PairColumn = Annotated[str | None, typer.Option(help="The column of second texts.")]
Unit = Annotated[str, typer.Option(help="A row of a text file: a line, a paragraph, or a document.")]
Precision = Annotated[
    str,
    typer.Option(
        help="float32, bfloat16, float16, or auto: bfloat16 where the hardware has it and a check on a sample passes."
    ),
]
Numbers = Annotated[str, typer.Option(help="Of the columns: float32 or float16.")]
Long = Annotated[str, typer.Option(help="Of texts that do not fit the context window: window, cut or error.")]


@with_model
def command(
    model: ModelOptions,
    source: Sources = None,
    out: Annotated[str | None, typer.Option("--out", "-o", help="The folder, or an address.")] = None,
    feature: Feature = None,
    text: Text = None,
    pair: PairColumn = None,
    id: Annotated[str | None, typer.Option("--id", help="A column that identifies rows.")] = None,
    keep: Annotated[list[str] | None, typer.Option(help="A column to keep, as often as you like.")] = None,
    unit: Unit = "line",
    dtype: Precision = "float32",
    numbers: Numbers = "float32",
    long: Long = "window",
    on_error: Annotated[str, typer.Option(help="A row that fails: row (it says why) or raise.")] = "row",
    part_rows: Annotated[int | None, typer.Option(help="Rows a part; chosen if left out.")] = None,
    batch_tokens: Annotated[int | None, typer.Option(help="Tokens a batch; chosen if left out.")] = None,
    engine: Annotated[str, typer.Option(help="local, or ray.")] = "local",
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster; one is started if left out.")] = None,
    check: Annotated[
        str | None,
        typer.Option(
            metavar="OUT",
            help="Only check the checksums of a folder; what is damaged is made again next time.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Turn a corpus into features: one pass, any layers, Parquet parts, never lost."""
    if check is not None:
        _check(check, as_json)
        return
    if not source or out is None:
        raise InputError("Give what to read and where to write: layerscope extract reviews.csv -o features")
    loaded = model.load()
    from layerscope.corpus.files import Files
    from layerscope.extraction.extract import extract

    start = time.perf_counter()
    try:
        features = extract(
            loaded,
            Files(tuple(source)),
            out,
            feature or ["mean@-1"],
            text=text,
            pair=pair,
            id=id,
            keep=keep or [],
            unit=unit,
            dtype=dtype,
            numbers=numbers,
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
        return
    _print(features, seconds)


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
        "network": manifest.settings["numbers"]["network"],
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
    if features.manifest.errors:
        note(f"{features.manifest.errors} rows have an error; their column 'error' says which.")


def _check(folder: str, as_json: bool) -> None:
    from layerscope.extraction.repair import forget_damaged

    damaged = forget_damaged(folder)
    if as_json:
        show_json({"folder": folder, "damaged": damaged})
    elif damaged:
        note(f"Damaged or missing: {', '.join(damaged)}. The command that made them makes them again.")
    else:
        note("Every part is as it was written.")
    if damaged:
        raise typer.Exit(1)
