"""Where a checkpoint is, and what its configuration says before it is loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

from layerscope import Model
from layerscope.errors import CheckpointError, UntrustedError
from layerscope.loading.checkpoint import load, load_vocabulary
from layerscope.loading.location import locate, said_layers
from tampering import edit_json, pickled
from tiny import FAMILIES, build


@pytest.mark.parametrize("family", FAMILIES)
def test_the_number_of_layers_that_is_said_is_that_of_the_network(family: str, tmp_path: Path) -> None:
    folder = build(family, tmp_path / family)
    said = said_layers(folder)
    model = load(folder)
    assert said == (None if model.is_encoder_decoder else model.num_layers)


@pytest.mark.parametrize(
    "changed",
    [
        {"num_hidden_layers": None},
        {"num_hidden_layers": "2"},
        {"num_hidden_layers": [2, 2]},
        {"num_hidden_layers": True},
        {"n_layer": 4},
        {"is_encoder_decoder": True},
        {"text_config": {"num_hidden_layers": 4}},
    ],
)
def test_what_it_does_not_plainly_say_is_left_to_the_network(
    changed: dict[str, object], bert: Path, folder: Path
) -> None:
    assert said_layers(bert) == 3
    edit_json(folder / "config.json", **changed)
    assert said_layers(folder) is None


@pytest.mark.parametrize("content", ["", "[]", "{", "null", '"num_hidden_layers"'])
def test_a_broken_configuration_is_told_when_it_is_loaded(content: str, folder: Path) -> None:
    (folder / "config.json").write_text(content)
    assert said_layers(folder) is None
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load(folder)


def test_a_file_and_an_unknown_hub_id_say_nothing(decoder_file: Path) -> None:
    assert said_layers(decoder_file) is None
    assert said_layers("org/name") is None
    assert said_layers("no id at all") is None


def test_without_its_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert locate(folder, weights=False).weights == ()
    with pytest.raises(CheckpointError, match="has no weights"):
        locate(folder)
    name, vocabulary = load_vocabulary(folder)
    assert name == str(folder)
    assert vocabulary.ids(["ghost"])


def test_pickles_do_not_matter_to_a_tokenizer(folder: Path) -> None:
    pickled(folder)
    with pytest.raises(UntrustedError):
        locate(folder)
    assert load_vocabulary(folder)[1].ids(["ghost"])


def test_the_tokenizer_of_a_gguf_file(decoder: Model, decoder_file: Path) -> None:
    text = "The capital of France is"
    assert load_vocabulary(decoder_file)[1].ids([text]) == [decoder.tokenizer(text).input_ids]


def test_it_is_found_without_torch() -> None:
    script = "import sys; from layerscope.loading import location as l; l.locate(None); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
