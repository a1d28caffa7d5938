"""layerscope lens, in this process."""

import json

import numpy as np
import pytest

import layerscope as ls
from layerscope.shown import visible

TEXT = "Then I tried to find some way."


def test_the_grid_and_the_proof(command, tiny, tiny_folder):
    code, out, err = command("lens", TEXT, "--model", tiny_folder("gpt2"))
    assert (code, err) == (0, "")
    found = ls.lens(tiny("gpt2"), TEXT)
    assert " ".join(out.split()).startswith("The most probable token by layer and position, bold where it is")
    assert out.splitlines()[3].split()[1:3] == ["0", found.tokens.strings[0].replace(" ", "·")]
    for part in (
        "The most probable token by layer and position",
        "from layer",
        "the logits differ by at most",
    ):
        assert part in out
    rows = [line.split() for line in out.splitlines()]
    shown = next(row for row in rows if row[:1] == ["2"])
    for cell, token in zip(shown[1:], found.grid().loc[2], strict=True):
        assert visible(token).startswith(cell.removesuffix("…"))


def test_a_narrow_terminal_gets_several_tables(command, tiny, tiny_folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    code, out, _ = command("lens", TEXT, "--model", tiny_folder("gpt2"))
    assert code == 0
    assert max(map(len, out.splitlines())) <= 60
    headers = [line.split() for line in out.splitlines() if line.split()[:1] == ["layer"]]
    assert len(headers) > 1
    positions = [int(word) for header in headers for word in header if word.isdecimal()]
    assert positions == list(range(len(tiny("gpt2").tokenize(TEXT))))


def test_one_position(command, tiny, tiny_folder):
    code, out, err = command("lens", TEXT, "-m", tiny_folder("bert"), "--position", 2, "-k", 3)
    assert (code, err) == (0, "")
    found = ls.lens(tiny("bert"), TEXT, k=3)
    answer = found.answers().answer[2]
    assert f"Position 2 ({found.tokens.strings[2]}): the answer is {answer}; the actual token is" in out
    best = found.candidates(2).query("layer == 1 and rank == 3").iloc[0]
    assert f"{best.token} {best.probability:.1%}" in out
    assert "divergence" in out
    _, out, _ = command("lens", TEXT, "-m", tiny_folder("gpt2"), "--position", -1)
    last = len(tiny("gpt2").tokenize(TEXT)) - 1
    assert f"Position {last} (" in out
    assert "the actual token" not in out


def test_all_of_it_as_json(command, tiny_folder):
    code, out, _ = command("lens", TEXT, "--target", "Hi there", "-m", tiny_folder("t5"), "--json", "-k", 2)
    found = json.loads(out)
    assert code == 0
    layers, positions, k = np.shape(found["top"])
    assert (layers, k) == (4, 2)
    assert positions == len(found["positions"])
    _, out, _ = command("lens", TEXT, "-m", tiny_folder("gpt2"), "--json")
    found = json.loads(out)
    assert found["positions"][-1]["actual"] is None
    assert found["actual_probabilities"][0][-1] is None


def test_figures(command, tiny_folder, tmp_path):
    png, svg = tmp_path / "lens.png", tmp_path / "lens.svg"
    code, _, err = command("lens", TEXT, "-m", tiny_folder("gpt2"), "--png", png, "--svg", svg)
    assert code == 0
    assert err == f"Drawn into {png}.\nDrawn into {svg}.\n"
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "<svg" in svg.read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            [TEXT],
            "all-MiniLM-L6-v2 has no language-model head, so its layers predict no tokens. Load a checkpoint",
        ),
        ([TEXT, "-m", "t5"], "which was given nothing to read: give --target."),
        (["a", "-m", "gpt2", "--position", "7"], "Position 7 is not there: the text has "),
        (["", "-m", "gpt2"], "The text has no tokens"),
        (["a", "-m", "gpt2", "-k", "100000", "--json"], "is how many tokens to keep, 1 to "),
        (["a", "-m", "gpt2", "-k", "3"], "-k has no effect without --position or --json"),
        (["a", "-m", "gpt2", "--position", "0", "--json"], "--position has no effect on a figure or --json"),
        ([TEXT, "-m", "gpt2", "--png", "lens.jpg"], "--png writes a file that ends with .png; not lens.jpg."),
        (
            [" ".join(["a"] * 130), "-m", "bloom", "--png", "x.png"],
            "cannot be read as a figure; draw at most 120",
        ),
    ],
)
def test_a_mistake_is_one_line(words, message, command, tiny_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = [tiny_folder(word) if word in ("t5", "gpt2", "bloom") else word for word in words]
    code, out, err = command("lens", *given)
    assert (code, out) == (2, "")
    assert err.startswith("layerscope: ")
    assert message in err
    assert err.count("\n") == 1
