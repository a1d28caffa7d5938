"""GGUF files: a real one, small ones, damaged ones."""

import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from layerscope import Model
from layerscope.errors import CheckpointError, MissingExtraError
from layerscope.loading.checkpoint import load


def test_a_real_gguf_file(decoder: Model, decoder_file: Path) -> None:
    assert decoder.kind == "decoder"
    assert (decoder.num_layers, decoder.hidden_size, decoder.vocab_size) == (30, 576, 49152)
    assert {it.dtype for it in decoder.hf.parameters()} == {torch.float32}
    assert not any(it.requires_grad for it in decoder.hf.parameters())
    assert decoder.has_head
    assert not decoder.untrained
    assert decoder.source.weights == (decoder_file,)
    ids = torch.tensor([decoder.tokenizer("The capital of France is").input_ids])
    assert decoder.tokenizer.decode(decoder.hf(ids).logits[0, -1].argmax()) == " Paris"


LETTERS = "abcdefghijklmnopqrstuvwxyz"


def as_gguf(
    path: Path, family: str = "llama", words: tuple[str, ...] = (*LETTERS, "ab"), spread: float = 0
) -> Path:
    """A network of one block, 4 wide, its weights about 0.5, and a tokenizer of letters that merges a and b."""
    chance = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, family)
    writer.add_context_length(16)
    writer.add_embedding_length(4)
    writer.add_block_count(1)
    writer.add_feed_forward_length(4)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    block = [
        f"blk.0.{name}"
        for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    ]
    shapes = dict.fromkeys(block, (4, 4)) | dict.fromkeys(["token_embd", "output"], (len(words), 4))
    shapes |= dict.fromkeys(["blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"], (4,))
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", chance.normal(0.5, spread, shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_very_file_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models").mkdir()
    path = as_gguf(tmp_path / "models" / "tiny.GGUF")
    (tmp_path / path.name).write_bytes(b"another file of this name, in the working folder")
    monkeypatch.chdir(tmp_path)
    for name in (path, "models/tiny.GGUF"):
        model = load(name)
        assert (model.hf.get_input_embeddings().weight == 0.5).all()
        assert not model.untrained
    assert capfd.readouterr() == ("", "")


def test_it_is_read_once_and_gives_what_transformers_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = as_gguf(tmp_path / "tiny.gguf", spread=0.1)
    expected = LlamaForCausalLM.from_pretrained(tmp_path, gguf_file=path.name, dtype=torch.float32)
    before, parsed = {name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")}, []
    build = gguf.GGUFReader._build_fields
    monkeypatch.setattr(gguf.GGUFReader, "_build_fields", lambda *args: parsed.append(1) or build(*args))
    model = load(path)
    assert len(parsed) == 1
    assert {name: getattr(gguf, name) for name in before} == before
    own = model.hf.state_dict()
    assert own.keys() == expected.state_dict().keys()
    assert all(torch.equal(own[name], tensor) for name, tensor in expected.state_dict().items())


def test_a_gguf_file_with_a_broken_tokenizer(tmp_path: Path) -> None:
    path = as_gguf(tmp_path / "tiny.gguf", words=tuple(LETTERS))  # no "ab": the tokenizers' Rust panics
    with pytest.raises(CheckpointError, match=r"^The tokenizer of \S+tiny\.gguf could not be loaded: "):
        load(path)


def test_a_family_that_transformers_does_not_read_from_gguf(tmp_path: Path) -> None:
    path = as_gguf(tmp_path / "bert.gguf", "bert")
    with pytest.raises(
        CheckpointError, match=r"cannot be used: GGUF model with architecture bert is not supported yet\.$"
    ):
        load(path)


@pytest.mark.parametrize("content", [b"", b"nonsense" * 100, b"GGUF\3\0\0\0" + b"\xff" * 50, None])
def test_a_damaged_gguf_file(content: bytes | None, tmp_path: Path) -> None:
    path = as_gguf(tmp_path / "cut.GGUF")
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    with pytest.raises(
        CheckpointError, match=r"cut\.GGUF is no GGUF file, or is damaged or was not copied to its end\.$"
    ):
        load(path)


@pytest.mark.parametrize("package", ["gguf", "accelerate"])
def test_gguf_needs_an_extra(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # what the import system takes for "not there"
    with pytest.raises(MissingExtraError, match=f"needs {package}, which is .*pip install {package}$"):
        load(as_gguf(tmp_path / "bert.gguf", "bert"))


def test_a_folder_of_gguf_files(tmp_path: Path) -> None:
    as_gguf(tmp_path / "bert.gguf", "bert")
    with pytest.raises(
        CheckpointError, match=r"For a GGUF model give the path of its file, such as bert\.gguf"
    ):
        load(tmp_path)
