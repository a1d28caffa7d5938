"""Changing a saved checkpoint's files: its configuration, the tensors in its weights, how they are stored."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]


def copied(source: Path, folder: Path) -> Path:
    shutil.copytree(source, folder)
    return folder


def edit_json(path: Path, **values: Any) -> None:
    """Sets values in a JSON object; None takes one out."""
    held = json.loads(path.read_text(encoding="utf-8")) | values
    path.write_text(
        json.dumps({name: value for name, value in held.items() if value is not None}), encoding="utf-8"
    )


def edit_tensors(folder: Path, change: Callable[[Tensors], Tensors]) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, {"format": "pt"})


def without(*parts: str) -> Callable[[Tensors], Tensors]:
    """Drops the tensors that have any of these in their names."""
    return lambda tensors: {
        name: it for name, it in tensors.items() if not any(part in name for part in parts)
    }


def pickled(folder: Path) -> Path:
    """Stores the weights as a pickle instead."""
    path = folder / "model.safetensors"
    torch.save(load_file(path), folder / "pytorch_model.bin")
    path.unlink()
    return folder


def sharded(folder: Path, parts: int = 3) -> Path:
    """Stores the weights in several safetensors files and an index instead."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    path.unlink()
    index = {}
    for part in range(parts):
        name = f"model-{part + 1:05}-of-{parts:05}.safetensors"
        held = dict(list(tensors.items())[part::parts])
        save_file(held, folder / name, {"format": "pt"})
        index |= dict.fromkeys(held, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return folder
