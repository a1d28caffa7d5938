"""Where a checkpoint is: its files on this machine, fetched from the Hub if need be. Nothing here imports torch.

The bundled model is the folder of its package, a Hub id its snapshot.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from layerscope.errors import CheckpointError, InputError
from layerscope.loading.bundled import NAME, bundled_folder
from layerscope.loading.gguf import is_gguf
from layerscope.loading.hub import cached, snapshot
from layerscope.loading.weights import not_a_checkpoint, weight_files
from layerscope.quiet import quiet
from layerscope.source import Source

# What configurations call it: BERT's and most, GPT-2's, DistilBERT's.
_NUMBER_OF_LAYERS = ("num_hidden_layers", "n_layer", "n_layers")


def locate(
    checkpoint: str | Path | None,
    revision: str | None = None,
    *,
    weights: bool = True,
    allow_pickle: bool = False,
    **fetching: Any,
) -> Source:
    """The files of a checkpoint, on this machine already or fetched from the Hub.

    Args:
        checkpoint, revision, allow_pickle: as of `load`.
        weights: whether its weights are needed; without, a folder or Hub id may lack them.
        fetching: token, cache_dir, local_files_only.

    Raises:
        InputError: it is no name of a checkpoint, or has no revisions.
        CheckpointError: there is none of this name, or its files are not whole.
        UntrustedError: its weights are pickles, and they were not asked for.
    """
    found = on_this_machine(checkpoint, revision)
    if found is None:
        name = str(checkpoint)
        with quiet():
            folder = snapshot(name, revision, weights=weights, allow_pickle=allow_pickle, **fetching)
        found = Source(name, folder, folder.name)
    if found.weights or not weights:
        return found
    assert found.folder is not None
    return Source(
        found.name, found.folder, found.revision, weight_files(found.name, found.folder, allow_pickle)
    )


def on_this_machine(checkpoint: str | Path | None, revision: str | None = None) -> Source | None:
    """Where a checkpoint is that is no Hub id; None for one. Its weights are named only if it is a file."""
    if not isinstance(checkpoint, str | Path | None):
        raise InputError(
            f"A checkpoint is named by a Hub id, a folder or a .gguf file; this is {a_type(checkpoint)}. A "
            "network that is loaded already goes to wrap()."
        )
    if checkpoint is None:
        name, path = NAME, bundled_folder()
    else:
        name, path = str(checkpoint), Path(os.path.expanduser(checkpoint))
        if not isinstance(checkpoint, Path) and not _is_path(name, path):
            return None
    if revision is not None:
        what = "none is given" if checkpoint is None else f"{name} is on this machine"
        raise InputError(f"revision={revision!r} picks a version of a Hub id, and {what}.")
    if is_gguf(path):
        if not os.path.isfile(path):
            raise CheckpointError(
                f"There is no file {name}. A GGUF model on the Hub is to be downloaded first."
            )
        return Source(name, path.parent, None, (path.absolute(),))
    if os.path.isfile(path):
        raise CheckpointError(f"{name} is a file; give the folder that it is in, or a .gguf file.")
    if not os.path.isdir(path):
        more = "" if _looks_local(name) else ", and a Hub id has at most one slash"
        raise CheckpointError(f"There is no folder {name}{more}.")
    if not (path / "config.json").is_file():
        raise not_a_checkpoint(f"The folder {name}", os.listdir(path))
    return Source(name, path)


def said_layers(checkpoint: str | Path | None, revision: str | None = None) -> int | None:
    """The number of layers that the configuration of a checkpoint says, before anything is loaded.

    None where it does not say it in so many words (GGUF files, encoder-decoders, networks of several parts), or is not
    on this machine: then the network says it.

    Raises:
        InputError, CheckpointError: as `locate`, for what is not on the Hub.

    >>> said_layers(None)
    6
    """
    found = on_this_machine(checkpoint, revision)
    folder = found.folder if found is not None else cached(str(checkpoint), revision)
    if folder is None or (found is not None and found.weights):
        return None
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        said = [config[name] for name in _NUMBER_OF_LAYERS if name in config]
        is_plain = not config.get("is_encoder_decoder") and not any(
            name.endswith("_config") for name in config
        )
    except (OSError, ValueError, AttributeError, TypeError):
        return None  # said when it is loaded
    return said[0] if is_plain and len(said) == 1 and type(said[0]) is int else None


def _is_path(name: str, path: Path) -> bool:
    """Whether a name that is text means something on this machine, and not a Hub id."""
    if not name.strip():
        raise InputError("The checkpoint's name is empty; without any, load() takes the bundled model.")
    if "://" in name:
        raise InputError(
            f"{name} is an address; name a model of the Hub by its id, such as google-bert/bert-base-uncased."
        )
    return _looks_local(name) or name.count("/") > 1 or is_gguf(path) or os.path.exists(path)


def _looks_local(name: str) -> bool:
    return name.startswith((".", "~", os.sep)) or "\\" in name


def a_type(it: object) -> str:
    """What something is, for a message that says what it should have been."""
    return f"of the type {type(it).__name__}"
