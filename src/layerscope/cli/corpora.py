"""The options of the verbs that read a corpus, and a look at it before a model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from layerscope.cli.output import note

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
Segment = Annotated[str, typer.Option(help="A row of a text file: a line, a paragraph, or a document.")]
Precision = Annotated[
    str | None,
    typer.Option(
        help="Of the pass: float32, bfloat16, float16, or auto: bfloat16 where the hardware has it and a check on a "
        "sample passes. As the model is loaded (float32) if left out.",
        show_default=False,
    ),
]
ColumnDtype = Annotated[str, typer.Option(help="Of the columns: float32 or float16.")]
Long = Annotated[str, typer.Option(help="Of texts that do not fit the context window: window, cut or error.")]


def check_treebank(file: str | Path) -> None:
    """Raise for a treebank that is not there or does not begin as one, before anyone waits for a model."""
    if str(file) == "-":
        return
    from layerscope.corpus.conllu import read_conllu

    next(read_conllu(file), None)


def check_corpus(
    source: Sequence[str],
    *,
    text: str | None = None,
    pair: str | None = None,
    id: str | None = None,
    keep: Sequence[str] = (),
    segment: str = "line",
) -> None:
    """Raise for files and columns that are not there, before anyone waits for a model.

    Standard input can be read only once, and what has an address is elsewhere: these are left to the verb.
    """
    if any(name == "-" or "://" in name for name in source):
        return
    from layerscope.corpus.corpus import open_corpus
    from layerscope.corpus.files import Files

    corpus = open_corpus(Files(tuple(source)), text=text, pair=pair, id=id, keep=keep, segment=segment)
    if text is None and corpus.text not in (None, "text"):
        note(f"note: Column {corpus.text!r} of {corpus.name} is taken for the texts.")
