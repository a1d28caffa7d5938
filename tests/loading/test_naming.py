"""Weights under other names than the network's, as programs save them that wrapped it or put it beside other things."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from layerscope.errors import CheckpointError, NewHeadWarning
from layerscope.loading.checkpoint import load
from tampering import Tensors, copied, edit_tensors, without

Renaming = Callable[[str], str]


def behind(prefix: str) -> Renaming:
    return lambda name: prefix + name


def bare(prefix: str) -> Renaming:
    """Of a body that was saved without its head, so that its names lack the family's own prefix."""
    return lambda name: prefix + name.removeprefix("bert.")


def renamed(change: Renaming) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {change(name): it for name, it in tensors.items()}


WRAPPED: dict[str, tuple[str, Renaming, str]] = {
    "DataParallel": ("bert", behind("module."), "module."),
    "DataParallel of the body": ("bert", bare("module."), "module."),
    "Lightning": ("bert", behind("model."), "model."),
    "sentence-transformers": ("bert", bare("0.auto_model."), "0.auto_model."),
    "torch.compile": ("bert", behind("_orig_mod."), "_orig_mod."),
    "torch.compile of the body": (
        "bert",
        lambda name: name.replace("bert.", "bert._orig_mod."),
        "_orig_mod.",
    ),
    "torch.compile of each block": (
        "bert",
        lambda name: re.sub(r"(layer\.\d)\.", r"\1._orig_mod.", name),
        "_orig_mod.",
    ),
    "two of them": ("gpt2", behind("_orig_mod.module."), "_orig_mod.module."),
    "a trainer of somebody's own": ("t5", behind("student.net."), "student.net."),
    "checkpointed blocks": (
        "llama",
        lambda name: re.sub(r"(layers\.\d)\.", r"\1._checkpoint_wrapped_module.", name),
        "_checkpoint_wrapped_module.",
    ),
}


@pytest.mark.parametrize("what", WRAPPED)
def test_what_was_put_into_the_names_is_said_and_can_be_taken_out(
    what: str, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    family, change, put_in = WRAPPED[what]
    folder = copied(tiny_folder(family), tmp_path / "it")
    if "the body" in what or "sentence" in what:
        edit_tensors(folder, without("cls.", "lm_head"))
    plain = load(folder)
    edit_tensors(folder, renamed(change))
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    said = str(caught.value)
    assert said.startswith(
        f"The weights of {folder} have {put_in!r} in their names, where its network has not: "
    )
    example, meant = re.search(r"has not: (\S+) for (\S+)\. Load", said).groups()
    assert example.replace(put_in, "", 1) == meant
    key_mapping = ast.literal_eval(re.search(r"key_mapping=(\{.*?\}),", said)[1])
    again = load(folder, key_mapping=key_mapping)
    assert type(again.hf) is type(plain.hf)
    assert not again.untrained
    for name, parameter in plain.hf.named_parameters():
        assert torch.equal(parameter, again.hf.get_parameter(name))


def test_what_transformers_takes_out_itself_is_read_rightly(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    """Lightning's prefix is what a Llama's own names begin with."""
    folder = copied(tiny_folder("llama"), tmp_path / "llama")
    plain = load(folder)
    edit_tensors(folder, renamed(behind("model.")))
    again = load(folder)
    for name, parameter in plain.hf.named_parameters():
        assert torch.equal(parameter, again.hf.get_parameter(name))


def test_a_head_alone_under_another_name_is_no_reason_to_load_the_network_bare(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copied(tiny_folder("llama"), tmp_path / "llama")
    edit_tensors(folder, renamed(lambda name: name.replace("lm_head", "module.lm_head")))
    with pytest.raises(
        CheckpointError, match=r"have 'module\.' in their names, .*: module\.lm_head\.weight for lm_"
    ):
        load(folder)


def test_a_hole_is_a_hole(folder: Path) -> None:
    edit_tensors(folder, without("layer.1.output.dense.weight"))
    edit_tensors(folder, lambda tensors: tensors | {"module.extra.weight": torch.zeros(2)})
    with pytest.raises(CheckpointError, match=r"layer\.1\.output\.dense\.weight is missing\.$"):
        load(folder)


def test_another_head_whose_names_are_longer_is_no_wrapped_one(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copied(tiny_folder("roberta"), tmp_path / "roberta")
    dense = {"classifier.dense.weight": torch.zeros(32, 32), "classifier.dense.bias": torch.zeros(32)}
    edit_tensors(folder, lambda tensors: tensors | dense)
    with pytest.warns(NewHeadWarning, match=r"\(classifier\)"):
        load(folder, task="token-classification")


NESTS: dict[str, tuple[Callable[[Tensors], Any], str]] = {
    "Lightning": (
        lambda tensors: {"epoch": 3, "state_dict": tensors, "optimizer_states": [{"state": {0: torch.zeros(2)}}]},
        "its tensors further down, in ['state_dict'], beside epoch, optimizer_states. Save them alone: "
        "torch.save(torch.load('pytorch_model.bin')['state_dict'], 'pytorch_model.bin').",
    ),
    "a trainer": (
        lambda tensors: {"optimizer": {"state": {0: {"m": torch.zeros(2)}}}, "model": tensors},
        "its tensors further down, in ['model'], beside optimizer. Save",
    ),
    "two down": (
        lambda tensors: {"checkpoint": {"net": tensors}},
        "its tensors further down, in ['checkpoint']['net']. Save them alone: "
        "torch.save(torch.load('pytorch_model.bin')['checkpoint']['net'], 'pytorch_model.bin').",
    ),
    "a list": (lambda tensors: list(tensors.values()), "a list, and no tensors by name."),
    "numbers": (lambda tensors: {"epoch": 3}, "no tensors by name, but 'epoch'."),
    "nothing": (lambda tensors: {}, "no tensors by name, but nothing."),
}  # fmt: skip


@pytest.mark.parametrize("what", NESTS)
def test_a_pickle_that_holds_its_tensors_further_down(what: str, folder: Path) -> None:
    make, says = NESTS[what]
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(make(tensors), folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError) as caught:
        load(folder, allow_pickle=True)
    assert str(caught.value).startswith(f"The weight file pytorch_model.bin of {folder} holds {says}")


def test_a_number_beside_the_tensors_of_a_pickle_does_no_harm(folder: Path, bert: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors | {"step": torch.tensor(3)}, folder / "pytorch_model.bin")
    plain = load(bert).hf.get_input_embeddings().weight
    assert torch.equal(load(folder, allow_pickle=True).hf.get_input_embeddings().weight, plain)
