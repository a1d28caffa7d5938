"""Arrays by name and what is said of them in one file, a safetensors file with JSON in its header."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import InputError, StorageError
from layerscope.shown import first_line
from layerscope.writing import write_whole

Arrays = Mapping[str, NDArray[Any]]

_VERSION = 1

# The entry of the header that is ours.
_KEY = "layerscope"


def write(path: str | Path, kind: str, about: Mapping[str, Any], arrays: Arrays) -> Path:
    """Write a file, whole or not at all, and give its path.

    Raises:
        InputError: it cannot be written.
    """
    place = Path(os.path.expanduser(path))
    if not place.parent.is_dir():
        raise InputError(f"{place} cannot be written: there is no folder {place.parent}.")
    said = {"format": kind, "version": _VERSION, "about": about}
    header = {_KEY: json.dumps(said, ensure_ascii=False)}  # one entry, since several have no fixed order
    kept = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_whole(place, lambda to: _save(kept, to, header))
    return place


def _save(arrays: dict[str, NDArray[Any]], path: Path, header: dict[str, str]) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(arrays, path, header)
    except SafetensorError as error:  # as which it raises what the file system says
        raise OSError(first_line(error)) from error


def read(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What `write` was given.

    Raises:
        InputError: there is no such file.
        StorageError: it is no file of this kind, or of a later version.
    """
    from safetensors import SafetensorError, safe_open

    place = Path(os.path.expanduser(path))
    if not place.is_file():
        raise InputError(f"There is no file {place}.")
    try:
        with safe_open(place, framework="numpy") as file:
            said = json.loads((file.metadata() or {}).get(_KEY, "{}"))
            if said.get("format") != kind:
                raise StorageError(f"{place} is no {kind}: its header does not say so.")
            if said["version"] > _VERSION:
                raise StorageError(f"{place} was written by a later version of Layerscope; install that one.")
            return said["about"], {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise StorageError(f"{place} cannot be read as a {kind}: {error}.") from error
