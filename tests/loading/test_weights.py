"""Folders with something missing or broken, and the sentence for each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from layerscope.errors import CheckpointError
from layerscope.loading.checkpoint import load
from tampering import edit_json, sharded

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:53aa\nsize 90868376\n"
INDEX = "model.safetensors.index.json"


def set_config(**values: Any) -> Callable[[Path], None]:
    return lambda folder: edit_json(folder / "config.json", **values)


def write(name: str, content: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


def remove(*patterns: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for path in [path for pattern in patterns for path in folder.glob(pattern)]:
            path.unlink()

    return change


def cut(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return change


def parts(then: Callable[[Path], None]) -> Callable[[Path], None]:
    return lambda folder: then(sharded(folder))


def map_to(file: str) -> Callable[[Path], None]:
    return lambda folder: edit_json(folder / INDEX, weight_map={"bert.pooler.dense.bias": file})


def adapter(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")


BROKEN = {
    "no configuration": (
        remove("config.json"),
        "The folder {0} has no config.json, so it is not a transformers checkpoint.",
    ),
    "an adapter": (
        adapter,
        "The folder {0} has no config.json, so it is not a transformers checkpoint. It is an adapter: load it on its "
        "base model with peft, and give that to wrap().",
    ),
    "an adapter beside the weights": (
        write("adapter_config.json", b"{}"),
        "{0} has an adapter beside its weights (adapter_config.json): load it with transformers and peft, and give it "
        "to wrap(); or take that file away.",
    ),
    "a broken configuration": (
        write("config.json", b'{"model_type": "bert",'),
        "The config.json of {0} cannot be read: Expecting property name enclosed in double quotes: "
        "line 1 column 23 (char 22).",
    ),
    "a configuration that is no text": (
        write("config.json", b"\xff\xfe"),
        "The config.json of {0} cannot be read: 'utf-8' codec",
    ),
    "a configuration that is a list": (
        write("config.json", b"[]"),
        "The config.json of {0} holds a list, not an object.",
    ),
    "no family": (
        set_config(model_type=None),
        "The config.json of {0} names no family that this version of transformers knows: model_type is None.",
    ),
    "an unknown family": (set_config(model_type="wurst"), "transformers knows: model_type is 'wurst'."),
    "a list for a family": (set_config(model_type=["bert"]), "transformers knows: model_type is ['bert']."),
    "no weights": (
        remove("model.safetensors"),
        "{0} has no weights that can be read: there is no model.safetensors, whole or in parts.",
    ),
    "cut weights": (
        cut("model.safetensors"),
        "The weight file model.safetensors of {0} is damaged or was not copied to its end.",
    ),
    "empty weights": (write("model.safetensors", b""), "The weight file model.safetensors of {0} is empty."),
    "a page for weights": (
        write("model.safetensors", b"<html></html>" * 9),
        "is damaged or was not copied to its end.",
    ),
    "a pointer for weights": (
        write("model.safetensors", LFS_POINTER),
        "is a Git LFS pointer and not the weights; fetch them with: git lfs pull",
    ),
    "weights elsewhere": (
        set_config(transformers_weights="adapter_model.bin"),
        "The config.json of {0} says that its weights are in adapter_model.bin; they are only read from",
    ),
    "a missing part": (
        parts(remove("model-00002*")),
        "{0} lacks 1 of the 3 parts of its weights that model.safetensors.index.json names, such as "
        "model-00002-of-00003.safetensors.",
    ),
    "no index": (
        parts(remove(INDEX)),
        "The weights of {0} are in parts, and their index model.safetensors.index.json is missing.",
    ),
    "a broken index": (
        parts(write(INDEX, b"{")),
        "The index of the weights of {0}, model.safetensors.index.json, cannot be read.",
    ),
    "an index without a map": (parts(write(INDEX, b"[1]")), "model.safetensors.index.json, cannot be read."),
    "an index to elsewhere": (
        parts(map_to("../other/model.safetensors")),
        "names, such as ../other/model.safetensors.",
    ),
    "an index to a pickle": (parts(map_to("evil.bin")), "names, such as evil.bin."),
    "a cut part": (
        parts(cut("model-00001-of-00003.safetensors")),
        "The weight file model-00001-of-00003.safetensors of {0} is damaged",
    ),
    "no tokenizer": (
        remove("tokenizer*", "vocab*"),
        "{0} has no tokenizer: no tokenizer.json or other vocabulary is there. If it is elsewhere, load both with "
        "transformers and give them to wrap().",
    ),
    "a broken tokenizer": (
        write("tokenizer.json", b"{"),
        "The tokenizer of {0} could not be loaded: Expecting property name",
    ),
    "another thing for a tokenizer": (
        write("tokenizer.json", b'{"x": 1}'),
        "The tokenizer of {0} could not be loaded: KeyError",
    ),
    "broken settings of the tokenizer": (
        write("tokenizer_config.json", b"{"),
        "The tokenizer of {0} could not be loaded: ",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_folder(what: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    change, says = BROKEN[what]
    change(folder)
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    assert says.format(folder) in str(caught.value)
    assert str(caught.value).startswith(says.format(folder)) or not says.startswith(("The", "{0}"))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
