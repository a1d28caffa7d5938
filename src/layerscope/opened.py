"""A trace read back from the file that `Trace.save` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from layerscope import archive
from layerscope.arguments import checked
from layerscope.errors import InputError, StorageError, brief
from layerscope.head import Head
from layerscope.text.saved import read_back
from layerscope.trace import FORMAT, Trace


@checked
def open_trace(path: str | Path) -> Trace:
    """Read a trace that `Trace.save` wrote: all that it held, without the model, and without torch.

    Args:
        path: the file.

    Raises:
        InputError: there is no such file.
        StorageError: it is no trace, or damaged.

    >>> import tempfile
    >>> import layerscope as ls
    >>> path = ls.load().run("Seeing is believing.").save(tempfile.mkdtemp() + "/seeing.safetensors")
    >>> ls.open_trace(path).vector("Seeing", layer=3).shape
    (384,)
    """
    if not isinstance(path, str | Path) or not str(path):
        raise InputError(f"path is the file of a trace; not {brief(path)}.")
    about, arrays = archive.read(path, FORMAT)
    try:
        return _trace(about, arrays)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StorageError(f"{path} is a damaged trace: {type(error).__name__} {error}.") from error


def _trace(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Trace:
    def under(prefix: str) -> dict[str, NDArray[Any]]:
        return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

    target = about["target"]
    return Trace(
        **{name: about[name] for name in ("model", "kind", "num_layers", "num_decoder_layers", "missing")},
        tokens=read_back(about["tokens"], under("tokens.")),
        target=None if target is None else read_back(target, under("target.")),
        layers=tuple(about["layers"]),
        decoder_layers=tuple(about["decoder_layers"]),
        heads=tuple(Head(**{**head, "labels": tuple(head["labels"])}) for head in about["heads"]),
        windows=tuple((start, stop) for start, stop in about["windows"]),
        outputs=under("outputs."),
        attention_layers={name: tuple(layers) for name, layers in about["attention_layers"].items()},
    )
