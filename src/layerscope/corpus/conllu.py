"""Treebanks in CoNLL-U: sentences, their words, and where each word stands in its sentence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from layerscope.corpus.files import STDIN, File
from layerscope.corpus.lines import by_paragraph
from layerscope.errors import InputError, missing

Range = tuple[int, int]

# What stands for a value that is not given.
_NONE = "_"


@dataclass(frozen=True)
class Sentence:
    """A sentence of n syntactic words.

    Attributes:
        text: what "# text" says if the words stand in it, else the words with the spaces between them that
            SpaceAfter says.
        words: [n], the range (start, end) of the text that each word stands at. Words of one surface token
            ("du", which is "de" and "le") share its range unless they make it up letter by letter ("do", "n't").
        forms: [n], the words as written.
        upos, xpos: [n], their parts of speech, universal and the treebank's own; "_" where none is given.
        heads: [n], the number, from 0, of the word that each depends on; -1 for the root, and where none is given.
        relations: [n], how each depends on it, subtypes included ("nsubj:pass"); "_" where none is given.
    """

    text: str
    words: tuple[Range, ...]
    forms: tuple[str, ...]
    upos: tuple[str, ...]
    xpos: tuple[str, ...]
    heads: tuple[int, ...]
    relations: tuple[str, ...]


def read_conllu(path: str | Path) -> Iterator[Sentence]:
    r"""The sentences of a CoNLL-U file, one by one, so that a treebank of any size can be read.

    Empty nodes (8.1) are left out. The format: https://universaldependencies.org/format.html.

    Args:
        path: the file, which may be compressed (.gz, .bz2, .xz, .zst); "-" is standard input.

    Raises:
        InputError: the file cannot be read, or a sentence is broken; the message says where and how.
        MissingExtraError: conllu is not installed.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "small.conllu"
    >>> _ = file.write_text('''1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
    ... 1\tDo\tdo\tAUX\tVB\t_\t3\taux\t_\t_
    ... 2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
    ... 3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
    ... ''')
    >>> sentence = next(read_conllu(file))
    >>> sentence.text, sentence.words, sentence.heads
    ("Don't go", ((0, 2), (2, 5), (6, 8)), (2, 2, -1))
    """
    try:
        from conllu import parse_token_and_metadata
        from conllu.exceptions import ParseException
    except ImportError as error:
        raise missing("conllu") from error
    label = STDIN if str(path) == "-" else Path(path).name
    for block, line in by_paragraph(File(os.path.expanduser(path), label)):
        try:
            lines = parse_token_and_metadata(block)
            if lines:
                yield _sentence(lines, lines.metadata.get("text"))
        except (ParseException, InputError) as error:
            raise InputError(
                f"{label} is not CoNLL-U, in the sentence at line {line}: {str(error).rstrip('.')}."
            ) from None


@dataclass(frozen=True)
class _Surface:
    """A token as written, and the numbers of its first word and one past its last."""

    form: str
    start: int
    stop: int
    has_space: bool


def _sentence(lines: Sequence[Any], text: str | None) -> Sentence:
    words = _words(lines)
    surfaces = _surfaces(lines, len(words))
    found = _places(text or "", surfaces)
    text, places = _joined(surfaces) if found is None else (text or "", found)
    forms = tuple(word["form"] for word in words)
    return Sentence(
        text=text,
        words=tuple(
            place
            for one, outer in zip(surfaces, places, strict=True)
            for place in _within(outer, one.form, forms[one.start : one.stop])
        ),
        forms=forms,
        upos=tuple(word["upos"] for word in words),
        xpos=tuple(word["xpos"] or _NONE for word in words),
        heads=tuple(-1 if word["head"] is None else word["head"] - 1 for word in words),
        relations=tuple(word["deprel"] for word in words),
    )


def _words(lines: Iterable[Any]) -> list[Any]:
    """The lines of words; those of multiword tokens and of empty nodes are none."""
    from conllu.parser import DEFAULT_FIELDS

    words: list[Any] = []
    for line in lines:
        missing = [field for field in DEFAULT_FIELDS if field not in line]
        if missing:
            raise InputError(
                f"the line of {line.get('form', line['id'])!r} ends before its column {missing[0]}"
            )
        if isinstance(line["id"], tuple):
            continue
        words.append(line)
        if line["id"] != len(words):
            raise InputError(f"word {line['form']!r} has the id {line['id']}, where {len(words)} comes next")
    for number, word in enumerate(words, start=1):
        if not word["form"]:
            raise InputError(f"word {number} has no form")
        if word["head"] is not None and (not 0 <= word["head"] <= len(words) or word["head"] == number):
            raise InputError(
                f"the head of word {number}, {word['form']!r}, is {word['head']}; the others are 1 to "
                f"{len(words)}, and 0 is for the root"
            )
    return words


def _surfaces(lines: Iterable[Any], count: int) -> list[_Surface]:
    """The tokens as written, in order: multiword tokens, and the words that are in none."""
    found: list[_Surface] = []
    done = 0
    for line in lines:
        match line["id"]:
            case (first, "-", last):
                if first != done + 1 or last > count:
                    raise InputError(
                        f"the token {first}-{last} does not stand before words {first} to {last}"
                    )
                start, done = done, last
            case int(number) if number > done:
                start, done = done, number
            case _:
                continue
        has_space = (line["misc"] or {}).get("SpaceAfter") != "No"
        found.append(_Surface(line["form"], start, done, has_space))
    return found


def _places(text: str, surfaces: Iterable[_Surface]) -> list[Range] | None:
    """Where the tokens stand in the text, nothing but white space between them; None if they do not."""
    places: list[Range] = []
    position = 0
    for one in surfaces:
        while text[position : position + 1].isspace() and not text.startswith(one.form, position):
            position += 1
        if not text.startswith(one.form, position):
            return None
        places.append((position, position + len(one.form)))
        position += len(one.form)
    return None if text[position:].strip() else places


def _joined(surfaces: Iterable[_Surface]) -> tuple[str, list[Range]]:
    """A text of these tokens, and where they stand in it."""
    text = ""
    places: list[Range] = []
    for one in surfaces:
        places.append((len(text), len(text) + len(one.form)))
        text += one.form + " " * one.has_space
    return text.rstrip(), places


def _within(outer: Range, surface: str, forms: Sequence[str]) -> list[Range]:
    """The places of the words of one surface token."""
    if "".join(forms) != surface:
        return [outer] * len(forms)
    return list(pairwise(accumulate(map(len, forms), initial=outer[0])))
