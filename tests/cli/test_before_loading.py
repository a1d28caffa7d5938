"""What a command is told is checked before torch is imported, and tokens need no network."""

import json
import subprocess
import sys

import pytest

from tiny import build

SCRIPT = """
import json, sys
from layerscope.cli import main

found = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["layerscope", *words]
    try:
        main()
    except SystemExit as ended:
        found.append((ended.code, "torch" in sys.modules))
print(json.dumps(found))
"""

MISTAKES = {
    "look a --model ./nope": "There is no folder ./nope.",
    "look a --model no.gguf": "There is no file no.gguf.",
    "tokens a --model ./nope": "There is no folder ./nope.",
    "describe ./nope": "There is no folder ./nope.",
    "verify ./nope": "There is no folder ./nope.",
    "look a --layer 9": "Layer 9 does not exist",
    "look a --layer 1,9": "Layer 9 does not exist",
    "look a --layer 4:9": "The range '4:9' does not lie in this model's layers, 0 to 6.",
    "compare a b --layer 9": "Layer 9 does not exist",
    "compare a b --pooling avg": "Unknown pooling 'avg'; known: mean, max, cls, last, mean_sqrt, "
    "weighted_mean, pooler.",
    "anatomy a --layer 9": "Layer 9 does not exist",
    "attention a --layer 9": "Layer 9 does not exist",
    "attention a --layer -9:": "The range '-9:' does not lie",
    "head-search no.conllu": "no.conllu cannot be read",
    "heads no.csv": "There is no file 'no.csv'.",
    "heads two.csv --text text --layer 9": "Layer 9 does not exist",
    "search nowhere a": "There are no features in nowhere",
    "export out -f mean@9": "Layer 9 does not exist",
    "drift two.csv --text text --limit 0": "--limit is a whole number, at least 1; not 0.",
    "tokens a --csv a.txt": "--csv writes a file that ends with .csv; not a.txt.",
    "drift two.csv --csv no/a.csv": "no/a.csv cannot be written: there is no folder no.",
    "drift no.csv": "There is no file 'no.csv'.",
    "drift two.csv --text txt": "Unknown column in two.csv, 'txt'",
    "drift two.csv --text text --id nr": "Unknown column in two.csv, 'nr'",
    "drift two.csv --pooling words": "Unknown pooling 'words'",
    "extract no.csv -o out": "There is no file 'no.csv'.",
    "extract two.csv -o out --text txt": "Unknown column in two.csv, 'txt'",
    "extract two.csv -o out --text text --keep lbl": "Unknown column in two.csv, 'lbl'",
    "extract two.csv -o out --text text -f maen@1": "Unknown pooling 'maen'",
    "extract two.csv -o out --text text -f mean@1 -f mean@9": "Layer 9 does not exist",
    "plan no.csv": "There is no file 'no.csv'.",
    "plan two.csv --text text -f mean@9": "Layer 9 does not exist",
    "senses bank no.csv": "There is no file 'no.csv'.",
    "senses bank two.csv --text text --label lbl": "Unknown column in two.csv, 'lbl'",
    "senses bank two.csv --text text --layer 9": "Layer 9 does not exist",
    "sweep no.csv --label sense": "There is no file 'no.csv'.",
    "sweep no.conllu --label upos": "no.conllu cannot be read",
    "sweep two.csv --text text --label lbl": "Unknown column in two.csv, 'lbl'",
    "sweep two.csv --text text --label sense -f mean@9": "Layer 9 does not exist",
}


def in_a_process(calls, folder):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(calls)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout), done.stderr.splitlines()


def test_mistakes_are_told_before_torch_is_imported(tmp_path):
    (tmp_path / "two.csv").write_text("text,sense\nthe bank,money\na bank,river\n")
    ended, said = in_a_process([call.split() for call in MISTAKES], tmp_path)
    assert ended == [[2, False]] * len(MISTAKES)
    for (call, message), line in zip(MISTAKES.items(), said, strict=True):
        assert message in line, call
    assert not (tmp_path / "out").exists()


def test_what_is_right_is_not_refused(tmp_path, command):
    """Standard input is read once, and is not looked at before."""
    code, out, err = command("drift", "-", "--json", stdin="a ghost\nthe bank\n")
    assert (code, err) == (0, "")
    assert len(json.loads(out)["static"]) == 2


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "t5"])
def test_tokens_need_no_network(family, tiny, tmp_path, command):
    folder = build(family, tmp_path / family)
    (folder / "model.safetensors").unlink()
    code, out, err = command("tokens", "My mother's ghost.", "--model", folder, "--json")
    assert (code, err) == (0, "")
    expected = tiny(family).tokenize("My mother's ghost.")
    assert [one["string"] for one in json.loads(out)["tokens"]] == list(expected.strings)
    assert [one["id"] for one in json.loads(out)["tokens"]] == expected.ids.tolist()


@pytest.mark.parametrize("option", ["--device cpu", "--dtype float32", "--allow-pickle"])
def test_tokens_have_no_options_of_a_network(option, command):
    code, _, err = command("tokens", "a", *option.split())
    assert code == 2
    assert f"No such option: {option.split()[0]}" in err


def test_the_column_that_is_taken_is_told(tmp_path, command):
    (tmp_path / "one.csv").write_text("hello world\nbye\n")
    (tmp_path / "two.csv").write_text("id,text\n1,bye\n")
    code, _, err = command("plan", tmp_path / "one.csv", "--json")
    assert (code, err) == (0, "note: Column 'hello world' of one.csv is taken for the texts.\n")
    code, _, err = command("plan", tmp_path / "one.csv", "--text", "hello world", "--json")
    assert (code, err) == (0, "")
    code, _, err = command("plan", tmp_path / "two.csv", "--json")
    assert (code, err) == (0, "")
