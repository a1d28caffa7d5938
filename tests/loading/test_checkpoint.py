"""Loading: what comes out, which names and arguments are taken, and what somebody else has loaded."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

import tiny
from layerscope.errors import CheckpointError, InputError, LayerscopeError, MissingExtraError, NewHeadWarning
from layerscope.loading.checkpoint import load, wrap
from tampering import copied, edit_json, edit_tensors, pickled, sharded


def test_it_is_for_looking_and_in_float32_whatever_was_saved(folder: Path) -> None:
    edit_tensors(folder, lambda tensors: {name: it.to(torch.bfloat16) for name, it in tensors.items()})
    edit_json(folder / "config.json", dtype="bfloat16")
    model = load(folder)
    assert {it.dtype for it in model.hf.parameters()} == {torch.float32}
    assert not any(it.requires_grad for it in model.hf.parameters())
    assert not any(it.training for it in model.hf.modules())
    assert load(folder, dtype="auto").hf.dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", ["bfloat16", torch.bfloat16])
def test_the_dtype_asked_for(dtype: Any, bert: Path) -> None:
    assert load(bert, dtype=dtype).hf.dtype == torch.bfloat16


@pytest.mark.parametrize("device", ["auto", "cpu", torch.device("cpu")])
def test_the_device_asked_for(device: Any, bert: Path) -> None:
    there = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert load(bert, device=device).device.type == (there if device == "auto" else "cpu")


def test_options_reach_from_pretrained(bert: Path) -> None:
    model = load(bert, attn_implementation="eager", device_map="cpu", max_memory={"cpu": "1GB"})
    assert model.hf.config._attn_implementation == "eager"
    assert model.device.type == "cpu"
    assert load(bert, hidden_dropout_prob=0.5).hf.config.hidden_dropout_prob == 0.5
    with pytest.raises(CheckpointError, match="found nowhere"):
        load(bert, device_map="nowhere")


def test_a_device_map_needs_an_extra(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(MissingExtraError, match=r"pip install accelerate$"):
        load(bert, device_map="cpu")


def test_names_of_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.chdir(folder.parent)
    for name in (folder, str(folder), "~/bert", "bert", "./bert", Path("bert"), f"{folder}/"):
        model = load(name)
        assert model.name == str(name)
        assert model.source.revision is None
        assert [path.name for path in model.source.weights] == ["model.safetensors"]


def test_weights_in_parts(folder: Path, bert: Path) -> None:
    parts, whole = load(sharded(folder)), load(bert)
    assert len(parts.source.weights) == 3
    for name, parameter in whole.hf.named_parameters():
        assert torch.equal(parameter, parts.hf.get_parameter(name))


def test_pickles_when_asked_for(folder: Path, bert: Path) -> None:
    model = load(pickled(folder), allow_pickle=True)
    assert torch.equal(model.hf.get_input_embeddings().weight, load(bert).hf.get_input_embeddings().weight)
    assert not any("auto_conversion" in thread.name for thread in threading.enumerate())


def test_safetensors_are_taken_where_there_are_both(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"never opened")
    assert [path.name for path in load(folder, allow_pickle=True).source.weights] == ["model.safetensors"]


def test_nothing_is_written_to_the_terminal(
    bert: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    load()
    load(bert)
    load(bert, device_map="cpu")
    load(sharded(copied(bert, tmp_path / "sharded")))
    load(pickled(copied(bert, tmp_path / "pickled")), allow_pickle=True)
    load(tiny.build("t5", tmp_path / "t5"))
    with pytest.warns(NewHeadWarning):
        load(bert, task="token-classification")
    with pytest.raises(CheckpointError):
        load(bert, hidden_size=64)
    assert capfd.readouterr() == ("", "")


def test_several_threads_may_load_at_once(bert: Path, tmp_path: Path) -> None:
    folders = [bert, *(tiny.build(family, tmp_path / family) for family in ("gpt2", "t5"))] * 8
    with ThreadPoolExecutor(4) as threads:
        models = list(threads.map(load, folders))
    for folder, model in zip(folders, models, strict=True):
        for name, parameter in load(folder).hf.named_parameters():
            assert torch.equal(parameter, model.hf.get_parameter(name))


def test_importing_the_package_loads_no_network_library() -> None:
    script = "import sys, layerscope; print({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


NAMES = {
    "": (InputError, "The checkpoint's name is empty; without any, load() takes the bundled model."),
    "  ": (InputError, "The checkpoint's name is empty"),
    "a b": (
        InputError,
        "'a b' is neither a folder nor a Hub id; ids look like gpt2 or google-bert/bert-base-uncased.",
    ),
    "a\0b": (InputError, "is neither a folder nor a Hub id"),
    "x" * 300: (InputError, "is neither a folder nor a Hub id"),
    "../nowhere": (CheckpointError, "There is no folder ../nowhere."),
    "~/nowhere": (CheckpointError, "There is no folder ~/nowhere."),
    "/no/where": (CheckpointError, "There is no folder /no/where."),
    "foo/bar/baz": (CheckpointError, "There is no folder foo/bar/baz, and a Hub id has at most one slash."),
    "http://127.0.0.1/org/name": (
        InputError,
        "http://127.0.0.1/org/name is an address; name a model of the Hub by its id",
    ),
    "org/name/no.gguf": (
        CheckpointError,
        "There is no file org/name/no.gguf. A GGUF model on the Hub is to be downloaded first.",
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_names_nothing(name: str) -> None:
    kind, says = NAMES[name]
    with pytest.raises(LayerscopeError) as caught:
        load(name)
    assert type(caught.value) is kind
    assert says in str(caught.value)


@pytest.mark.parametrize("it", [3, b"bert", ["bert"]])
def test_what_is_no_name(it: Any) -> None:
    with pytest.raises(
        InputError, match=r"this is of the type \w+\. A network that is loaded already goes to wrap\(\)\.$"
    ):
        load(it)


def test_a_file_in_place_of_its_folder(bert: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model\.safetensors is a file; give the folder that it is in"):
        load(bert / "model.safetensors")


def test_a_path_is_never_taken_for_a_hub_id() -> None:
    with pytest.raises(CheckpointError, match=r"^There is no folder google-bert/nowhere"):
        load(Path("google-bert/nowhere"))


ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "revision": ({"revision": "main"}, "revision='main' picks a version of a Hub id, and "),
    "task": (
        {"task": "text-clasification"},
        "Unknown task 'text-clasification'; known: fill-mask, text-generation, text2text-generation, "
        "text-classification, token-classification, question-answering, next-sentence-prediction, multiple-choice. "
        "Did you mean 'text-classification'?",
    ),
    "dtype": ({"dtype": "float8"}, "Unknown dtype 'float8'; known: float32, float16, bfloat16, auto."),
    "whole numbers": ({"dtype": torch.int8}, "Unknown dtype torch.int8"),
    "device": ({"device": "gpu"}, "Unknown device 'gpu'; known: auto, cpu, cuda, mps."),
    "no device": ({"device": None}, "Unknown device None"),
    "absent device": (
        {"device": "xpu"},
        f"There is no device xpu here that torch {torch.__version__} can use",
    ),
    "two places": (
        {"device": "cpu", "device_map": "auto"},
        "device='cpu' and device_map='auto' both say where to load",
    ),
    "safetensors": ({"use_safetensors": False}, "load does not take use_safetensors: use allow_pickle."),
    "old dtype": ({"torch_dtype": "auto"}, "load does not take torch_dtype: use dtype."),
    "configuration": ({"config": {}}, "load does not take config: give its values as keywords"),
    "gguf": (
        {"gguf_file": "x.gguf"},
        "load does not take gguf_file: give the path of the .gguf file as the checkpoint.",
    ),
}


@pytest.mark.parametrize("what", ARGUMENTS)
def test_arguments_that_do_not_fit(what: str, bert: Path) -> None:
    options, says = ARGUMENTS[what]
    with pytest.raises(InputError) as caught:
        load(bert, **options)
    assert says in str(caught.value)


def test_a_device_that_this_machine_has_not(bert: Path) -> None:
    device = "mps" if torch.cuda.is_available() else "cuda"
    with pytest.raises(InputError, match=f"There is no device {device} here"):
        load(bert, device=device)


def test_options_that_transformers_does_not_know_or_take(bert: Path) -> None:
    with pytest.raises(CheckpointError, match="unexpected keyword argument 'wurst'"):
        load(bert, wurst=1)
    with pytest.raises(CheckpointError, match='attn_implementation="wurst"` is not supported'):
        load(bert, attn_implementation="wurst")


def test_wrap_changes_nothing(bert: Path) -> None:
    with tiny.quiet():
        hf = AutoModelForMaskedLM.from_pretrained(bert, dtype=torch.bfloat16)
        tokenizer = AutoTokenizer.from_pretrained(bert)
    hf.train()
    model = wrap(hf, tokenizer)
    assert model.hf is hf
    assert model.tokenizer is tokenizer
    assert hf.training
    assert all(it.requires_grad and it.dtype == torch.bfloat16 for it in hf.parameters())
    assert model.name == str(bert)
    assert wrap(hf, tokenizer, "mine").name == "mine"
    assert not model.untrained


def test_wrap_says_what_it_takes(bert: Path) -> None:
    model = load(bert)
    with pytest.raises(
        InputError, match=r"takes a transformers model and its tokenizer; the first is of the type str\.$"
    ):
        wrap("google-bert/bert-base-uncased", model.tokenizer)
    with pytest.raises(InputError, match=r"; the first is of the type BertTokenizer\w*\.$"):
        wrap(model.tokenizer, model.hf)
    with pytest.raises(InputError, match=r"; the second is of the type NoneType\.$"):
        wrap(model.hf, None)
