"""`Corpus`: a stream of fixed ranges of rows, from whatever a user has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerscope.arguments import check_count, checked
from layerscope.corpus.columnar import from_arrow, from_parquet
from layerscope.corpus.columns import Source, Used, choose
from layerscope.corpus.delimited import from_delimited
from layerscope.corpus.files import File, Files, name_of
from layerscope.corpus.finding import find
from layerscope.corpus.json_files import from_json
from layerscope.corpus.lines import SEGMENTS, from_text
from layerscope.corpus.memory import from_memory
from layerscope.corpus.narrowed import narrowed
from layerscope.corpus.rows import Rows, in_ranges
from layerscope.errors import InputError, unknown

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS: dict[str, Callable[[list[File]], Source]] = {
    "csv": from_delimited,
    "tsv": from_delimited,
    "jsonl": from_json,
    "json": from_json,
    "parquet": from_parquet,
    "arrow": from_arrow,
}


class Corpus:
    """Rows of texts that can be read from any row on; `open_corpus` makes it.

    Nothing but its first rows is read before `chunks`.
    """

    def __init__(self, source: Source, used: Used, asked: Mapping[str, Any]) -> None:
        self.name: str = source.name  # what it is, for messages: "a list", "reviews.csv"
        self.schema: pa.Schema = source.schema(used)  # of `Rows.kept`
        self.count: int | None = source.count  # number of rows, where it is known without reading
        self.text = used.text  # the column of texts, None where the rows are the texts
        self.has_pairs: bool = source.has_pairs or used.pair is not None
        self.is_once = source.is_once  # whether it can be read only once
        self.is_seekable = (
            source.is_seekable
        )  # whether other processes can read any of its rows by their numbers
        self.asked = asked  # the arguments of `open_corpus` beside the source
        self.source = source
        self._used = used
        self._is_spent = False

    def chunks(self, size: int, start: int = 0) -> Iterator[Rows]:
        """Consecutive ranges of `size` rows from row `start` on; the last may be shorter.

        Never more than some ranges are in memory at once.

        Raises:
            InputError: it was read before and can be read only once; a size below 1 or a start below 0;
                and while reading, whatever does not fit in a row or file.
        """
        if size < 1 or start < 0:
            raise InputError(f"size={size}, start={start}: a size is 1 or more, a start 0 or more.")
        if self._is_spent:
            raise InputError(
                f"This corpus, {self.name}, can be read only once, and was; give a list or a file to read it again."
            )
        self._is_spent = self.is_once
        return in_ranges(self.source.read(self._used, start, size), size)


@checked
def open_corpus(
    source: Any,
    *,
    text: str | None = None,
    pair: str | None = None,
    id: str | None = None,
    keep: Sequence[str] = (),
    segment: str = "line",
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
) -> Corpus:
    """A corpus from what holds texts, in memory or in files.

    Whatever reads a corpus takes one that was opened, so that it is here that one takes some of its rows.

    Args:
        source: a list, array, Series, iterator of texts, of pairs of texts or of dicts; a table of pandas,
            polars, pyarrow or datasets; or files: a path, a folder, a glob, an address such as s3://…, "-"
            for standard input, a list of `Path`s, or `Files`. A list of strings is one of texts. Or a corpus: its
            columns stay what they are unless others are named, and what is kept is kept beside.
        text: the column of texts; without it the only column, the only one of strings, or "text".
            Of standard input it says that it holds JSON lines.
        pair: the column of second texts.
        id: a column to keep, put first.
        keep: further columns to keep. Text files have the columns file and line.
        segment: what a row is in text files: a "line", a "paragraph" (blank lines divide) or a "document".
        limit: so many rows at most, the first ones.
        sample: so many rows (of the first `limit`), chosen at random, in their order.
        seed: of the sample.

    Raises:
        InputError: nothing that can be read, or names of columns that do not fit; the message says what would.

    >>> import layerscope as ls
    >>> corpus = ls.open_corpus([{"title": "A", "text": "a ghost"}, {"title": "B", "text": "the bank"}], text="text")
    >>> [rows.texts for rows in corpus.chunks(64)]
    [['a ghost', 'the bank']]
    """
    if segment not in SEGMENTS:
        raise unknown("segment", segment, SEGMENTS)
    for name, number in (("limit", limit), ("sample", sample)):
        if number is not None:
            check_count(name, number)
    asked: dict[str, Any] = {"text": text, "pair": pair, "id": id, "keep": keep, "segment": segment}
    asked |= {"limit": limit, "sample": sample, "seed": seed}
    if isinstance(source, Corpus):
        return _again(source, asked)
    names = _names(source)
    files = None if names is None else find(names, isinstance(source, str))
    opened = from_memory(source) if files is None else _from_files(files, text, segment)
    if files is not None:
        _refuse_folders(files, opened, (text, pair, id, *keep))
    if segment != "line" and names is None:
        raise InputError(f"segment={segment!r} is for text files; {opened.name} has rows of its own.")
    used = choose(opened, text, pair, id, keep)
    return Corpus(narrowed(opened, limit, sample, seed), used, asked | {"keep": list(keep)})


def _again(corpus: Corpus, asked: Mapping[str, Any]) -> Corpus:
    """An opened corpus with what is asked of it now."""
    if asked["segment"] not in ("line", corpus.asked["segment"]):
        raise InputError(
            f"{corpus.name} is opened already, in {corpus.asked['segment']}s: leave segment= out."
        )
    merged = {name: was if asked[name] is None else asked[name] for name, was in corpus.asked.items()}
    keep = list(dict.fromkeys([*corpus.asked["keep"], *asked["keep"]]))
    merged |= {"keep": [name for name in keep if name != merged["id"]], "segment": corpus.asked["segment"]}
    merged["seed"] = corpus.asked["seed"] if asked["sample"] is None else asked["seed"]
    source = narrowed(corpus.source, asked["limit"], asked["sample"], asked["seed"])
    used = choose(source, *(merged[name] for name in ("text", "pair", "id", "keep")))
    return Corpus(source, used, merged)


def _names(source: Any) -> tuple[str, ...] | None:
    """The names of files that are meant by a source, or None if it is one in memory."""
    if isinstance(source, Files):
        return source.names
    if isinstance(source, str | Path):
        return (str(source),)
    if isinstance(source, list | tuple) and any(isinstance(one, Path) for one in source):
        if not all(isinstance(one, Path) for one in source):
            raise InputError(
                "A list of files is of Paths alone; strings in a list are texts, so make them Paths."
            )
        return tuple(str(one) for one in source)
    return None


def _refuse_folders(files: list[File], opened: Source, asked: Sequence[str | None]) -> None:
    """Raise for names that are no columns, but stand in those of folders, as Hive and Spark write them: label=pos."""
    known = [column.name for column in opened.columns or ()]
    for name in asked:
        folders = (folder for file in files for folder in file.path.split("/")[:-1])
        if name is None or name in known:
            continue
        for folder in folders:
            if folder.startswith(f"{name}="):
                raise InputError(
                    f"{name!r} is no column of {opened.name}: it stands in the names of folders ({folder}), which are "
                    "not read. Write it into the files."
                )


def _from_files(files: list[File], text: str | None, segment: str) -> Source:
    kind = files[0].kind
    if files[0].is_stdin:
        kind = "text" if text is None else "jsonl"
    if kind is None or kind == "text":
        return from_text(files, segment)
    if segment != "line":
        raise InputError(f"segment={segment!r} is for text files; {name_of(files)} has rows of its own.")
    return FORMATS[kind](files)
