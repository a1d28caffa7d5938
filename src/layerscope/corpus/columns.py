"""Which columns of a corpus are used, and for what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from layerscope.corpus.rows import Rows
from layerscope.errors import InputError, brief, unknown

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Column:
    """A column that a corpus offers."""

    name: str
    is_text: bool  # whether strings stand in it


@dataclass(frozen=True)
class Used:
    """The names of the columns that are read; no text where the rows themselves are the texts."""

    text: str | None
    pair: str | None
    kept: tuple[str, ...]  # id first

    @property
    def names(self) -> list[str]:
        """All of them, each once."""
        named = [name for name in (self.text, self.pair) if name is not None]
        return list(dict.fromkeys([*named, *self.kept]))


class Source(Protocol):
    """What a corpus is read from."""

    name: str
    count: int | None  # number of rows where it is known without reading
    is_once: bool  # whether it can be read only once
    is_seekable: (
        bool  # whether any process that sees its files reads rows from any number on, without those before
    )
    is_empty: bool  # whether it is known to have no rows, and so any column one likes
    columns: Sequence[Column] | None  # None where rows are plain texts
    has_pairs: bool  # whether plain rows are pairs of texts

    def schema(self, used: Used) -> pa.Schema:
        """Names and types of the kept columns; what speaks against those used is raised here."""

    def read(self, used: Used, start: int, size: int) -> Iterator[Rows]:
        """All rows from number `start` on, in blocks of any length; `size` is the one preferred."""


def choose(source: Source, text: str | None, pair: str | None, id: str | None, keep: Sequence[str]) -> Used:
    """The columns that the caller named, and the column of texts where none was named.

    Raises:
        InputError: names that are not there, twice there or given twice; no name where one is needed.
    """
    if isinstance(keep, str):
        raise InputError(f"keep is a list of names of columns; give keep=[{keep!r}].")
    kept = tuple(keep) if id is None else (id, *keep)
    twice = [name for name in kept if kept.count(name) > 1]
    if twice:
        raise InputError(f"Column {twice[0]!r} is named twice in id= and keep=; name it once.")
    if source.is_empty:
        return Used(text=text, pair=pair, kept=kept)
    if source.columns is None:
        named = [name for name in (text if text != "text" else None, pair, *kept) if name is not None]
        if named:
            raise InputError(
                f"{_upper(source.name)} is of plain texts: it has no columns, so no {brief(named[0])}; "
                "give a table, or dicts."
            )
        return Used(text=None, pair=None, kept=())
    names = [column.name for column in source.columns]
    for name in (text, pair, *kept):
        if name is not None and name not in names:
            raise unknown(f"column in {source.name},", name, names)
        if names.count(name or "") > 1:
            raise InputError(f"{_upper(source.name)} has more than one column {name!r}; rename all but one.")
    return Used(text=_text_column(source) if text is None else text, pair=pair, kept=kept)


def _text_column(source: Source) -> str:
    """The only column, or the only one of strings, or the one called "text"."""
    columns = source.columns or []
    names = [column.name for column in columns]
    strings = [column.name for column in columns if column.is_text]
    for candidates in (names, strings, [name for name in names if name == "text"]):
        if len(candidates) == 1:
            return candidates[0]
    if not names:
        raise InputError(f"{_upper(source.name)} has no columns; one of them is to hold the texts.")
    raise InputError(
        f"Which column of {source.name} holds the texts? Name it by text=; there are: {', '.join(names)}."
    )


def _upper(name: str) -> str:
    """A name at the start of a sentence; those of files stay as they are."""
    return name[0].upper() + name[1:] if name.startswith(("a ", "an ")) else name
