"""What would run code of the checkpoint: pickles, and code for a network or a tokenizer."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from layerscope.errors import CheckpointError, UntrustedError
from layerscope.loading.checkpoint import load
from tampering import edit_json, edit_tensors, pickled


class _Payload:
    """In a pickle, a call of os.mkdir: what runs leaves a folder behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.folder),))


def test_pickles_are_refused(folder: Path) -> None:
    with pytest.raises(
        UntrustedError,
        match=r"are pickles \(pytorch_model\.bin\), .* allow_pickle=True \(--allow-pickle\)\.$",
    ):
        load(pickled(folder))


@pytest.mark.parametrize("allowed", [False, True])
def test_code_in_a_pickle_never_runs(allowed: bool, folder: Path, tmp_path: Path) -> None:
    torch.save({"weight": _Payload(tmp_path / "ran")}, pickled(folder) / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="pytorch_model.bin"):
        load(folder, allow_pickle=allowed)
    assert not (tmp_path / "ran").exists()


def test_a_damaged_pickle(folder: Path) -> None:
    (pickled(folder) / "pytorch_model.bin").write_bytes(b"x" * 100)
    with pytest.raises(
        CheckpointError, match=r"is damaged or was not copied to its end, or holds more than tensors"
    ):
        load(folder, allow_pickle=True)


CODE = """
print("the code of the checkpoint runs")
import torch
from transformers import PreTrainedConfig, PreTrainedModel

class WurstConfig(PreTrainedConfig):
    model_type = "wurst"
    hidden_size: int = 8
    num_hidden_layers: int = 1
    num_attention_heads: int = 1
    vocab_size: int = 403

class WurstModel(PreTrainedModel):
    config_class = WurstConfig
    base_model_prefix = "wurst"

    def __init__(self, config):
        super().__init__(config)
        self.words = torch.nn.Embedding(config.vocab_size, config.hidden_size)
        self.post_init()

    def get_input_embeddings(self):
        return self.words

    def forward(self, input_ids):
        return (self.words(input_ids),)
"""


@pytest.fixture
def own_code(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A checkpoint of a family that only its own code knows."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    classes = {"AutoConfig": "modeling_wurst.WurstConfig", "AutoModel": "modeling_wurst.WurstModel"}
    (folder / "config.json").write_text(json.dumps({"model_type": "wurst", "auto_map": classes}))
    (folder / "modeling_wurst.py").write_text(CODE)
    edit_tensors(folder, lambda tensors: {"words.weight": torch.ones(403, 8)})
    return folder


def test_code_of_the_checkpoint_is_refused(own_code: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        UntrustedError, match=r"brings its own code for its network, .*trust_remote_code=True"
    ):
        load(own_code)
    assert capfd.readouterr() == ("", "")


def test_code_of_the_checkpoint_runs_when_trusted(own_code: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = load(own_code, trust_remote_code=True)
    assert type(model.hf).__name__ == "WurstModel"
    assert model.hf.words.weight.sum() == 403 * 8
    assert capfd.readouterr() == ("the code of the checkpoint runs\n", "")


def test_trusted_code_that_is_not_there(own_code: Path) -> None:
    (own_code / "modeling_wurst.py").unlink()
    with pytest.raises(CheckpointError, match=r"does not appear to have a file named modeling_wurst\.py\.$"):
        load(own_code, trust_remote_code=True)


def test_a_known_family_needs_no_code_of_its_own(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    edit_json(folder / "config.json", auto_map={"AutoModel": "modeling_wurst.WurstModel"})
    (folder / "modeling_wurst.py").write_text(CODE)
    assert type(load(folder).hf).__name__ == "BertForPreTraining"
    assert capfd.readouterr() == ("", "")


def test_code_for_a_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    settings = {"tokenizer_class": "Wurst", "auto_map": {"AutoTokenizer": ["wurst.Wurst", None]}}
    edit_json(folder / "tokenizer_config.json", **settings)
    (folder / "wurst.py").write_text(CODE)
    with pytest.raises(UntrustedError, match="brings its own code for its tokenizer"):
        load(folder)
