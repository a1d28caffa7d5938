import json

import numpy as np
import pytest

import layerscope as ls
from tiny import build

TEXT = "The crane stood by the bank."


def test_the_steps(command):
    code, out, err = command("anatomy", TEXT, "--layer", 3)
    assert code == 0
    for part in (
        "Layer 3",
        "BertLayer",
        "queries",
        "12 × 9 × 32",
        "s = q kᵀ / √32",
        "norm(y + d)",
        "What each token looks for",
    ):
        assert part in out
    assert err.startswith("It adds up: the largest difference from the model's own is ")
    assert "[CLS]" not in out


def test_one_head(command, model):
    code, out, _ = command("anatomy", TEXT, "--layer", 3, "--head", 4)
    assert code == 0
    assert "Head 4: from each token (row) to each token" in out
    expected = ls.anatomy(model, TEXT, 3).head(4)
    (row,) = [
        line.split() for line in out.splitlines() if line.split()[:1] == ["crane"] and len(line.split()) == 10
    ]
    assert row[1:] == [f"{value:.2f}" for value in expected.loc["crane"]]


def test_shared_keys_are_said(command, tmp_path):
    folder = build("llama", tmp_path / "llama")
    code, out, _ = command("anatomy", "A crane", "--head", 3, "--model", folder)
    assert code == 0
    assert "Head 3, with keys and values 1: from each" in out
    assert "final norm" in out
    assert "·" in out


def test_json(command, model):
    code, out, _ = command("anatomy", "-", "--json", "--head", 2, stdin=TEXT)
    found = json.loads(out)
    expected = ls.anatomy(model, TEXT)
    assert (code, found["layer"], found["head"]) == (0, 6, 2)
    assert [one["name"] for one in found["steps"]] == [one.name for one in expected.steps]
    np.testing.assert_allclose(found["probabilities"], expected.head(2), atol=1e-6)
    assert found["steps"][4]["difference"] is None
    code, out, _ = command("anatomy", TEXT, "--json")
    assert "probabilities" not in json.loads(out)


@pytest.mark.parametrize("words", [[], ["--head", 1]])
def test_figures(command, tmp_path, words):
    png, svg = tmp_path / "block.png", tmp_path / "block.svg"
    code, _, err = command("anatomy", TEXT, *words, "--png", png, "--svg", svg)
    assert code == 0
    assert png.read_bytes()[:4] == b"\x89PNG"
    assert ("<!-- probabilities -->" in svg.read_text()) == bool(words)
    assert err.count("Drawn into") == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--layer", 0], "blocks are layers 1 to 6"),
        (["--layer", 9], "Layer 9 does not exist"),
        (["--head", 12], "heads 0 to 11"),
        (["--png", "block.jpg"], "ends with .png"),
    ],
)
def test_mistakes(command, words, says):
    code, out, err = command("anatomy", TEXT, *words)
    assert (code, out) == (2, "")
    assert says in err
    assert len(err.splitlines()) == 1


def test_a_block_that_is_not_known(command, tmp_path):
    code, out, err = command("anatomy", TEXT, "--model", build("bloom", tmp_path / "bloom"))
    assert (code, out) == (2, "")
    assert (
        "(BloomBlock) is of no kind that can be followed: BERT-like, GPT-2-like and Llama-like blocks can."
        in err
    )
    assert len(err.splitlines()) == 1
