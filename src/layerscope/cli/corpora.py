"""The options of the verbs that read a corpus, which is opened before a model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerscope.cli.output import note

if TYPE_CHECKING:
    from layerscope.corpus.corpus import Corpus

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
PairColumn = Annotated[str | None, typer.Option(help="The column of second texts.")]
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


@dataclass(frozen=True)
class CorpusOptions:
    """Which rows of a corpus to read."""

    text: Annotated[str | None, typer.Option(help="The column of texts.")] = None
    segment: Annotated[
        str, typer.Option(help="A row of a text file: a line, a paragraph, or a document.")
    ] = "line"
    limit: Annotated[int | None, typer.Option(help="So many rows at most, the first ones.")] = None
    sample: Annotated[int | None, typer.Option(help="So many rows, chosen at random (always the same).")] = (
        None
    )

    def open(
        self,
        source: Sequence[str],
        *,
        pair: str | None = None,
        id: str | None = None,
        keep: Sequence[str] = (),
    ) -> Corpus:
        """The corpus; files and columns that are not there are told before anyone waits for a model."""
        from layerscope.corpus.corpus import open_corpus
        from layerscope.corpus.files import Files

        corpus = open_corpus(
            Files(tuple(source)),
            text=self.text,
            pair=pair,
            id=id,
            keep=keep,
            segment=self.segment,
            limit=self.limit,
            sample=self.sample,
        )
        if self.text is None and corpus.text not in (None, "text"):
            note(f"note: Column {corpus.text!r} of {corpus.name} is taken for the texts.")
        return corpus


def check_treebank(file: str | Path) -> None:
    """Raise for a treebank that is not there or does not begin as one, before anyone waits for a model."""
    if str(file) == "-":
        return
    from layerscope.corpus.conllu import read_conllu

    next(read_conllu(file), None)
