"""layerscope plan SOURCE…."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

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
from layerscope.cli.files import TableFile
from layerscope.cli.options import Json, ModelOptions, with_options
from layerscope.cli.output import show, show_json, waiting

if TYPE_CHECKING:
    from layerscope.extraction.plan import Plan

NAME = "plan"
EXAMPLES = """Examples:\n
  layerscope plan reviews.csv --feature mean@all --text review\n
  layerscope plan novel.txt --segment paragraph --feature words@8 --dtype auto\n
  layerscope plan --tokens 1e12 --rows 1e9 --rate 5e5 --machines 64 --feature cls@-1"""


@with_options
def command(
    model: ModelOptions,
    corpus: CorpusOptions,
    asked: Asked,
    files: TableFile,
    source: Sources = None,
    feature: Feature = None,
    tokens: Annotated[float | None, typer.Option(help="Tokens of a corpus that is not here.")] = None,
    rows: Annotated[float | None, typer.Option(help="Its rows, for the size on disk.")] = None,
    rate: Annotated[float | None, typer.Option(help="Tokens a second of a machine that is not here.")] = None,
    machines: Annotated[int, typer.Option(help="How many machines share the work.")] = 1,
    pair: PairColumn = None,
    dtype: Precision = None,
    column_dtype: ColumnDtype = "float32",
    long: Long = "window",
    as_json: Json = False,
) -> None:
    """What an extraction will take: tokens, time, disk and memory, before anyone waits for it."""
    model.check(features=feature or ())
    files.check()
    if not source:
        asked.refuse("text", "pair", "segment", "limit", "sample", why="without a corpus to read")
    texts = corpus.open(source, pair=pair) if source else None
    loaded = model.load()
    from layerscope.extraction.plan import plan

    with waiting("Reading, counting, timing …"):
        made = plan(
            loaded,
            texts,
            feature or ["mean@-1"],
            tokens=tokens,
            rows=None if rows is None else int(rows),
            rate=rate,
            machines=machines,
            dtype=dtype,
            column_dtype=column_dtype,
            long=long,
        )
    files.table(made.table)
    if as_json:
        show_json(made.to_dict())
    else:
        _print(made)


def _print(made: Plan) -> None:
    from layerscope.view import terminal

    about = "about " if made.is_sampled else ""
    facts: dict[str, object] = {
        "rows": "not given" if made.rows is None else made.rows,
        "tokens": f"{about}{made.tokens:,.0f}",
        "speed": f"{made.rate:,.0f} tokens a second"
        + (f", {made.machines} machines" if made.machines > 1 else ""),
        "network": made.network,
        "time": _time(made.seconds),
        "memory": f"about {_size(made.memory)} at once",
    }
    if made.errors:
        facts["errors"] = f"{made.errors} of the rows looked at"
    show(terminal.facts(facts))
    sizes = {
        name: f"{_size(size)} a row" + (f", {_size(size * made.rows)} in all" if made.rows else "")
        for name, size in made.bytes_a_row.items()
    }
    show(terminal.heading("On disk"))
    show(terminal.facts(sizes))
    if made.rows:
        show(f"{_size(sum(made.bytes_a_row.values()) * made.rows)} together, beside the texts")


def _time(seconds: float) -> str:
    """Seconds for people: 12 s, 3:20:11 hours, 41 days."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 48 * 3600:
        return f"{timedelta(seconds=round(seconds))} (hours:minutes:seconds)"
    return f"{seconds / 86400:,.1f} days"


def _size(size: float) -> str:
    """Bytes for people."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} PB"
