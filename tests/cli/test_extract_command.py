"""The commands extract and plan."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import layerscope as ls
from manifests import parts_of

TEXTS = ["Seeing is believing.", "A ghost.", "The bank of the river."]


@pytest.fixture
def reviews(tmp_path):
    file = tmp_path / "reviews.csv"
    file.write_text("review,label\n" + "".join(f'"{text}",{n}\n' for n, text in enumerate(TEXTS)))
    return file


def test_a_file_becomes_a_folder_of_features(command, reviews, tmp_path, model):
    out = tmp_path / "out"
    code, shown, err = command(
        "extract", reviews, "-o", out, "-f", "mean@all", "-f", "cls@-1", "--text", "review", "--keep", "label"
    )
    assert (code, err) == (0, "")
    assert "mean_0, mean_1" in shown
    features = ls.open_features(out)
    assert list(features.to_pandas()["label"]) == ["0", "1", "2"]
    np.testing.assert_allclose(
        features.to_numpy("cls_6")[1], model.run(TEXTS[1]).feature("cls@-1"), atol=1e-5
    )


def test_a_summary_as_json_and_the_second_time_nothing_is_done(command, reviews, tmp_path):
    words = ("extract", reviews, "-o", tmp_path / "out", "--text", "review", "--dtype", "auto", "--json")
    first, second = json.loads(command(*words)[1]), json.loads(command(*words)[1])
    assert first["rows"] == 3
    assert first["columns"] == ["mean_6"]
    assert first["precision_check"]["chosen"] == first["network"]
    assert first.pop("seconds") > 0
    assert second.pop("seconds") > 0
    assert first == second


def test_rows_that_fail_are_counted(command, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"body": "A ghost."}\n{"body": null}\n')
    code, _, err = command("extract", file, "-o", tmp_path / "out", "--text", "body")
    assert code == 0
    assert "1 of 2 rows have an error; their column 'error' says which." in err
    code, _, err = command("extract", file, "-o", tmp_path / "o", "--text", "body", "--on-error", "raise")
    assert code == 2
    assert (
        err
        == "layerscope: Row 1 of the corpus: The text is NoneType None; a text is a string, a pair a tuple of two.\n"
    )


def test_checking_a_folder(command, reviews, tmp_path):
    out = tmp_path / "out"
    extract = ("extract", reviews, "-o", out, "--text", "review")
    command(*extract)
    fine = "Every row is there, and every part is as it was written.\n"
    assert command("check", out) == (0, "", fine)
    part = out / "part-000000.parquet"
    part.write_bytes(part.read_bytes()[:-1])
    for _ in range(2):
        code, _, err = command("check", out)
        assert code == 1
        assert "Damaged or gone: part-000000.parquet (rows 0 to 2). --repair forgets them" in err
    code, _, err = command("check", out, "--repair")
    assert code == 1
    assert "Forgotten: part-000000.parquet (rows 0 to 2)." in err
    code, _, err = command("check", out)
    assert (code, err) == (
        1,
        "Unfinished: the corpus was not read to its end. The command that began the folder goes on.\n",
    )
    command(*extract)
    found = json.loads(command("check", out, "--json")[1])
    assert (found["passed"], found["damaged"], found["missing"]) == (True, [], [])


def test_success_is_what_came_out(command, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": 1}\n{"text": null}\n')
    code, out, err = command("extract", file, "-o", tmp_path / "out", "--text", "text")
    assert code == 1
    assert "errors" in out
    assert "Every row has an error (2 of 2). That of the first: The text is int 1" in err
    code, out, err = command("extract", file, "-o", tmp_path / "json", "--text", "text", "--json")
    assert (code, json.loads(out)["errors"]) == (1, 2)
    (tmp_path / "none.jsonl").write_text("")
    code, _, err = command("extract", tmp_path / "none.jsonl", "-o", tmp_path / "none")
    assert (code, err) == (0, "The corpus has no rows.\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["extract"], "Give what to read and where to write"),
        (["extract", "nowhere.csv", "-o", "out"], "nowhere.csv"),
        (["extract", "{reviews}", "-o", "out", "--text", "body"], "Unknown column in reviews.csv, 'body'"),
        (
            ["extract", "{reviews}", "-o", "out", "--text", "review", "-f", "mean@99"],
            "Layer 99 does not exist",
        ),
        (["extract", "{reviews}", "-o", "{reviews}", "--text", "review"], "reviews.csv"),
        (["check", "nowhere"], "There is no folder nowhere"),
        (["check"], "Give a folder of features: layerscope check features"),
        (["plan"], "Give a corpus, or --tokens and --rate"),
        (["plan", "--tokens", "-3", "--rate", "1"], "tokens is a number above zero"),
    ],
)
def test_a_mistake_is_one_sentence(command, reviews, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*(word.format(reviews=reviews) for word in words))
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_a_plan(command, reviews):
    code, out, _ = command("plan", reviews, "--text", "review", "-f", "mean@all", "--json")
    made = json.loads(out)
    assert code == 0
    assert (made["rows"], made["tokens"], made["is_sampled"]) == (3, 19, False)
    assert made["bytes"] == {f"mean_{layer}": 3 * 384 * 4 for layer in range(7)}
    assert made["seconds"] > 0
    code, out, _ = command(
        "plan", "--tokens", "1e12", "--rows", "1e9", "--rate", "5e5", "--machines", "64", "-f", "cls@-1"
    )
    assert code == 0
    assert "8:40:50" in out
    assert "1.5 TB in all" in out


@pytest.mark.slow
def test_stdin_and_ctrl_c(tiny_folder, tmp_path):
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "layerscope.cli", "extract", "-", "-o", tmp_path / "out"),
            *("--part-rows", "5", "--device", "cpu", "-m", tiny_folder("bert")),
        ],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:
        process.stdin.write(b"seeing is believing\n" * 1500)
        process.stdin.flush()
        while not (tmp_path / "out" / "part-000010.parquet").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        for _ in range(100):  # it waits for more of the corpus, or passes a batch
            if process.poll() is not None:
                break
            process.stdin.write(b"seeing is believing\n" * 100)
            process.stdin.flush()
            time.sleep(0.1)
        assert process.wait(10) == 130
        assert process.stderr.read() == (
            b"What is whole is written; the same command goes on from there.\nlayerscope: stopped.\n"
        )
        manifest = json.loads((tmp_path / "out" / "_manifest.json").read_text())
        assert len(parts_of(tmp_path / "out")) > 10
        assert not manifest["complete"]
