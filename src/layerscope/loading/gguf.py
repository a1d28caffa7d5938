"""GGUF files: whether one is whole, and how transformers is kept from reading one again and again."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from layerscope.errors import CheckpointError, missing


def is_gguf(path: Path) -> bool:
    """Whether a file is a GGUF file by its name."""
    return path.suffix.lower() == ".gguf"


def check_gguf(path: Path) -> None:
    """Raise a `CheckpointError` if this is no whole GGUF file."""
    from gguf import GGUFReader

    try:
        GGUFReader(path)
    except Exception as error:
        raise CheckpointError(
            f"{path} is no GGUF file, or is damaged or was not copied to its end."
        ) from error


@contextmanager
def read_once(path: Path) -> Iterator[None]:
    """Inside, the header of a GGUF file is parsed once, and a table of tensor names made once; one load at a time.

    transformers parses the header for the configuration, for the tokenizer and for the weights, and makes the table
    of names for each module of the network: most of the time that a load takes. It looks both up in the gguf
    package at each call, and finds them here instead, kept. Its progress bar is also made one that can be switched
    off, as all its others are. For any other file nothing is changed.

    Raises:
        MissingExtraError: what transformers reads GGUF files with is not installed.
    """
    if not is_gguf(path):
        yield
        return
    if absent := [name for name in ("gguf", "accelerate") if importlib.util.find_spec(name) is None]:
        raise missing(*absent)
    import gguf
    import numpy as np
    from transformers import modeling_gguf_pytorch_utils as legacy
    from transformers.utils import logging

    class Reader(gguf.GGUFReader):
        def _get(self, *args: Any, **kwargs: Any) -> Any:
            # Slices of a memory map are much slower than those of the same memory as a plain array.
            self.data: Any = self.data.view(np.ndarray)
            return super()._get(*args, **kwargs)

    instead = {
        (gguf, "GGUFReader"): cache(Reader),
        (gguf, "get_tensor_name_map"): cache(gguf.get_tensor_name_map),
        (legacy, "tqdm"): logging.tqdm,
    }
    before = {(module, name): getattr(module, name) for module, name in instead}
    try:
        for (module, name), value in instead.items():
            setattr(module, name, value)
        yield
    finally:
        for (module, name), value in before.items():
            setattr(module, name, value)
