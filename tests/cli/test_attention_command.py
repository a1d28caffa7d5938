import json

import pytest

import layerscope as ls

SENTENCE = "Then I tried to find some way of embracing my mother's ghost."
TREE = """\
# text = the red bank of the old river
1	the	the	DET	DT	_	3	det	_	_
2	red	red	ADJ	JJ	_	3	amod	_	_
3	bank	bank	NOUN	NN	_	0	root	_	_
4	of	of	ADP	IN	_	7	case	_	_
5	the	the	DET	DT	_	7	det	_	_
6	old	old	ADJ	JJ	_	7	amod	_	_
7	river	river	NOUN	NN	_	3	nmod	_	_

"""


@pytest.fixture
def treebank(tmp_path):
    path = tmp_path / "bank.conllu"
    path.write_text(TREE * 12)
    return path


def test_partners(command, model):
    code, out, err = command("attention", SENTENCE)
    assert (code, err) == (0, "")
    assert "What each word attends to most (max over the heads; special tokens" in out
    assert "layer 1" in out
    assert "layer 3" in out
    assert "layer 6" in out
    row = next(line for line in out.splitlines() if line.split()[:1] == ["11"])
    expected = ls.partners(model.run(SENTENCE, attention=True)).table().query("position == 11 and layer == 1")
    assert f"{expected['to'].item()} {expected['weight'].item():.2f}" in row
    code, out, _ = command("attention", SENTENCE, "--json", "--head", "2", "--unit", "token", "--specials")
    found = json.loads(out)
    assert (found["head"], found["unit"], len(found["partners"])) == (2, "token", 6 * 17)
    assert found["partners"][1]["to"] == "[CLS]"
    _, out, _ = command("attention", "--layer", "2,-1", "--head", "mean", stdin="Seeing is believing.")
    assert "mean over the heads" in out
    assert "layer 2" in out
    assert "layer 3" not in out


def test_measures(command, model, tmp_path):
    code, out, err = command("heads", "-", "--layer", "2", stdin=SENTENCE)
    assert (code, err) == (0, "")
    assert "1 text, 15 tokens" in out
    assert sum(line.split()[:1] == ["2"] for line in out.splitlines()) == 12
    _, out, _ = command("heads", "-", "--json", stdin=SENTENCE)
    assert json.loads(out)["heads"][2]["previous"] > 0.99
    assert len(json.loads(out)["heads"]) == 72
    (tmp_path / "texts.txt").write_text("a bank\nthe bank\n" * 4)
    _, out, _ = command("heads", tmp_path / "texts.txt", "--limit", 3, "--json")
    assert json.loads(out)["texts"] == 3


def test_figures(command, tmp_path):
    png, svg = tmp_path / "heads.png", tmp_path / "next.svg"
    code, _, err = command("attention", SENTENCE, "--layer", "3", "--png", png)
    assert (code, err) == (0, f"Drawn into {png}.\n")
    assert png.read_bytes().startswith(b"\x89PNG")
    command("heads", "-", "--measure", "next", "--svg", svg, stdin=SENTENCE)
    assert "share to the token after" in svg.read_text()


def test_a_treebank(command, model, treebank, tmp_path):
    code, out, err = command("head-search", treebank)
    assert code == 0
    assert err == "note: 2 relations with fewer than 20 dependents are left out.\n"
    assert "12 sentences" in out
    table = ls.head_search(model, treebank).table()
    assert list(table["relation"]) == ["all", "amod", "det"]
    line = next(line for line in out.splitlines() if line.startswith(" amod"))
    row = table.iloc[1]
    assert line.split()[-6:] == [
        "24",
        str(row["layer"]),
        str(row["head"]),
        f"{row['accuracy']:.3f}",
        "1",
        "1.000",
    ]
    png = tmp_path / "det.png"
    code, out, _ = command("head-search", treebank, "--relation", "det", "--png", png)
    assert code == 0
    assert "det: share of 24 dependents" in out
    assert "Always the word at +2: 1.000" in out
    assert png.exists()
    _, out, _ = command("head-search", treebank, "--limit", "11", "--json")
    assert json.loads(out)["sentences"] == 11


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["attention", SENTENCE, "--head", "12"], "Head 12 does not exist: this layer has heads 0 to 11."),
        (
            ["attention", SENTENCE, "--head", "best"],
            "Unknown way to put heads together 'best'; known: mean, max.",
        ),
        (["attention", SENTENCE, "--unit", "letter"], "Unknown unit 'letter'; known: token, word."),
        (["attention", SENTENCE, "--layer", "0"], "Layer 0 is the embedding output and has no attention"),
        (["attention", SENTENCE, "--layer", "9"], "Layer 9 does not exist"),
        (["attention", SENTENCE, "--layer", "1,x"], "Layers are written 'all', a number (8, -1), a range"),
        (
            ["attention", SENTENCE, "--layer", "1,3", "--png", "x.png"],
            "A figure is of one layer, and --layer names 2",
        ),
        (["attention", SENTENCE, "--png", "x.jpg"], "--png writes a file that ends with .png; not x.jpg."),
        (["attention", "a " * 600], "with attention the text must fit"),
        (["attention", SENTENCE, "--heads"], "No such option: --heads"),
        (["heads"], "Give what to read: layerscope heads poems.txt"),
        (["heads", "-", "--measure", "foo", "--png", "x.png"], "Unknown measure 'foo'; known: entropy"),
        (["heads", "-", "--measure", "first"], "--measure has no effect without --png or --svg"),
        (["heads", "-", "--layer", "0"], "Layer 0 is the embedding output and has no attention"),
        (["head-search"], "Give a treebank: layerscope head-search"),
        (["head-search", "x.conllu"], "x.conllu cannot be read: No such file or directory."),
    ],
)
def test_mistakes(command, words, message):
    code, out, err = command(*words)
    assert (code, out) == (2, "")
    assert err.startswith("layerscope: ")
    assert message in err
    assert err.count("\n") == 1


def test_nothing_to_measure(command):
    code, _, err = command("heads", "-", stdin="")
    assert code == 2
    assert "There is nothing to measure" in err
