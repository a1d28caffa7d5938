"""The weight files of a checkpoint: which they are, whether they are whole, and what is refused."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from layerscope.errors import CheckpointError, UntrustedError

# Named as transformers names them: one file, or else its parts and an index of what is in which. The first
# that is there is read.
_SAFETENSORS = ("model.safetensors", "model-*-of-*.safetensors")
_PICKLES = ("pytorch_model.bin", "pytorch_model-*-of-*.bin")

# What makes transformers change the network, if peft is installed: its result would depend on that.
ADAPTER = "adapter_config.json"

_LFS_POINTER = b"version https://git-lfs"


def weight_names(checkpoint: str, files: Collection[str], allow_pickle: bool) -> list[str]:
    """Of a checkpoint's file names those that hold its weights: safetensors if there are any, else pickles.

    Raises:
        UntrustedError: there are only pickles, and they were not asked for.
        CheckpointError: there are none.
    """
    safe, pickles = (
        [single] if single in files else sorted(fnmatch.filter(files, parts))
        for single, parts in (_SAFETENSORS, _PICKLES)
    )
    if not safe and not pickles:
        raise CheckpointError(
            f"{checkpoint} has no weights that can be read: there is no model.safetensors, whole or in parts."
        )
    if not safe and not allow_pickle:
        raise UntrustedError(
            f"The weights of {checkpoint} are pickles ({pickles[0]}), which can run any code when opened, "
            "and there are no safetensors. If you trust it, load it with allow_pickle=True (--allow-pickle)."
        )
    return safe or pickles


def not_a_checkpoint(checkpoint: str, files: Collection[str]) -> CheckpointError:
    """The error for a folder, here or on the Hub, that has no config.json; it says what may be meant."""
    sentence = f"{checkpoint} has no config.json, so it is not a transformers checkpoint."
    if ADAPTER in files:
        sentence += " It is an adapter: load it on its base model with peft, and give that to wrap()."
    if gguf := sorted(fnmatch.filter(files, "*.gguf")):
        sentence += f" For a GGUF model give the path of its file, such as {gguf[0]}, on this machine."
    return CheckpointError(sentence)


def weight_files(checkpoint: str, folder: Path, allow_pickle: bool) -> tuple[Path, ...]:
    """The weight files in a checkpoint's folder, none missing or empty; raises as `weight_names` does."""
    files = [path.name for path in folder.iterdir() if path.is_file()]
    if ADAPTER in files:
        raise CheckpointError(
            f"{checkpoint} has an adapter beside its weights ({ADAPTER}): load it with transformers and peft, and "
            "give it to wrap(); or take that file away."
        )
    names = weight_names(checkpoint, files, allow_pickle)
    if names[0] not in (_SAFETENSORS[0], _PICKLES[0]):
        _check_parts(checkpoint, folder, names)
    paths = tuple(folder / name for name in names)
    for path in paths:
        _check_whole(checkpoint, path)
    return paths


def tensor_names(checkpoint: str, files: Sequence[Path]) -> frozenset[str]:
    """The names of the tensors in weight files; no tensor is read.

    Raises:
        CheckpointError: a file is damaged, or a pickle holds more than tensors, or holds them further down.
    """
    return frozenset(name for path in files for name in _names(checkpoint, path))


def _names(checkpoint: str, path: Path) -> list[str]:
    try:
        if path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="numpy") as file:
                return list(file.keys())
        import torch

        held = torch.load(path, map_location="meta", weights_only=True)
    except Exception as error:
        more = "" if path.suffix == ".safetensors" else ", or holds more than tensors, which is never opened"
        raise CheckpointError(
            f"The weight file {path.name} of {checkpoint} is damaged or was not copied to its end{more}."
        ) from error
    if _holds_tensors(held):
        return [str(name) for name in held]
    raise CheckpointError(f"The weight file {path.name} of {checkpoint} holds {_instead(held, path.name)}.")


def _holds_tensors(held: Any) -> bool:
    """Whether this is what weights are: tensors by name; other things may stand beside them."""
    import torch

    return isinstance(held, Mapping) and any(
        isinstance(name, str) and isinstance(one, torch.Tensor) for name, one in held.items()
    )


def _instead(held: Any, file: str) -> str:
    """What a file holds that are no tensors by name, and what to do if they are further down in it."""
    if not isinstance(held, Mapping):
        return f"a {type(held).__name__}, and no tensors by name"
    path = next(_paths(held), None)
    if path is None:
        return f"no tensors by name, but {', '.join(map(repr, list(held)[:4])) or 'nothing'}"
    where = "".join(f"[{key!r}]" for key in path)
    beside = [str(key) for key in held if key != path[0]][:4]
    more = f", beside {', '.join(beside)}" if beside else ""
    return (
        f"its tensors further down, in {where}{more}. Save them alone: "
        f"torch.save(torch.load({file!r}){where}, {file!r})"
    )


def _paths(held: Mapping[Any, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where in a nest of dictionaries there are tensors by name, those that are furthest up first."""
    inner = {key: one for key, one in held.items() if isinstance(key, str) and isinstance(one, Mapping)}
    yield from ((*path, key) for key, one in inner.items() if _holds_tensors(one))
    for key, one in inner.items():
        yield from _paths(one, (*path, key))


def _check_parts(checkpoint: str, folder: Path, names: list[str]) -> None:
    """Raise unless the index of the parts is there and names these and no others."""
    index = f"{_SAFETENSORS[0] if names[0].endswith('.safetensors') else _PICKLES[0]}.index.json"
    try:
        named = set(json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"].values())
    except FileNotFoundError as error:
        raise CheckpointError(
            f"The weights of {checkpoint} are in parts, and their index {index} is missing."
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"The index of the weights of {checkpoint}, {index}, cannot be read."
        ) from error
    if missing := sorted(map(str, named - set(names))):
        raise CheckpointError(
            f"{checkpoint} lacks {len(missing)} of the {len(named)} parts of its weights that {index} names, "
            f"such as {missing[0]}."
        )


def _check_whole(checkpoint: str, path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(len(_LFS_POINTER))
    if not start:
        raise CheckpointError(f"The weight file {path.name} of {checkpoint} is empty.")
    if start == _LFS_POINTER:
        raise CheckpointError(
            f"The weight file {path.name} of {checkpoint} is a Git LFS pointer and not the weights; fetch "
            "them with: git lfs pull"
        )
