"""Files that are there whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from layerscope.errors import InputError


def write_whole(path: Path, save: Callable[[Path], Any]) -> None:
    """Let `save` write a file beside its place, and move it there.

    Raises:
        InputError: it cannot be written.
    """
    partial = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        save(partial)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            partial.unlink()
