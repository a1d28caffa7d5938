"""JSON files: a value a line, or a list of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from layerscope.corpus.files import File, name_of
from layerscope.corpus.lines import lines_of, pieces
from layerscope.corpus.records import Records
from layerscope.errors import InputError


def from_json(files: list[File]) -> Records:
    """The rows of JSON lines, or of files with one list each, which are read whole.

    Raises:
        InputError: what is no JSON, at once or while reading; the message names file and line.
    """
    values = _list_of if files[0].kind == "json" else _lines_of

    def rows(start: int) -> Iterator[Any]:
        return islice((value for file in files for value in values(file)), start, None)

    return Records(name_of(files), rows, is_once=files[0].is_stdin)


def _lines_of(file: File) -> Iterator[Any]:
    """The value of each line that is not blank."""
    for number, line in enumerate(lines_of(file), start=1):
        if line and not line.isspace():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                reason = getattr(error, "msg", None) or error
                raise InputError(
                    f"{file.label}, line {number} is no JSON ({reason}); each line is one object or one string."
                ) from None
            yield value


def _list_of(file: File) -> Iterator[Any]:
    try:
        value = json.loads("".join(pieces(file)))
    except json.JSONDecodeError as error:
        raise InputError(
            f"{file.label}, line {error.lineno} is no JSON ({error.msg}); "
            "if each line is an object of its own, name the file .jsonl."
        ) from None
    except RecursionError:
        raise InputError(f"{file.label} is nested too deeply to be read.") from None
    if isinstance(value, dict):
        raise InputError(
            f"{file.label} holds one object; a JSON file holds a list of objects or of strings. If each line is an "
            "object of its own, name the file .jsonl."
        )
    if not isinstance(value, list):
        raise InputError(
            f"{file.label} holds one {type(value).__name__}; a JSON file holds a list of objects or of strings."
        )
    yield from value
