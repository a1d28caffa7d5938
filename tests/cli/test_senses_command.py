import json

import pytest

import layerscope as ls


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "samples.csv"
    ls.samples.table().to_csv(path, index=False)
    return path


def test_uses_and_layers(command, table, model):
    code, out, err = command("senses", "bank", table, "--text", "text", "--label", "sense")
    found = ls.senses(model, "bank", ls.samples.table(), "sense", text="text")
    assert (code, err) == (0, "Texts without the word: 52.\n")
    assert f"6 uses of “bank”, {model.name}" in out
    assert "The [bank] refused the lo…" in out
    assert f"layer {found.best} tells the senses apart best (highest silhouette)" in out
    assert f"{found.table().silhouette[3]:.3f}" in out
    assert "river 1   1.00" not in out


def test_one_layer(command, table, model):
    code, out, _ = command("senses", "bank", table, "--text", "text", "--layer", -1)
    similarity = ls.senses(model, "bank", ls.samples.texts("bank")).similarity(-1)
    assert code == 0
    assert "Cosine of any two uses, by layer" in out
    assert (
        "  ".join(f" {value:.2f}" for value in similarity.iloc[2]).split()
        == [part for line in out.splitlines() if line.startswith(" use 3 ") for part in line.split()[2:]][-6:]
    )


def test_as_json(command, table, model):
    code, out, _ = command(
        "senses", "bank", table, "--text", "text", "--label", "sense", "--json", "--layer", 2
    )
    plain = json.loads(out)
    found = ls.senses(model, "bank", ls.samples.table(), "sense", text="text")
    assert code == 0
    assert plain["best"] == found.best
    assert plain["layers"] == json.loads(json.dumps(found.to_dict()["layers"]))
    assert plain["similarity"][0][1] == pytest.approx(found.similarity(2).iloc[0, 1])


def test_a_folder_of_features_needs_no_model(command, table, tmp_path):
    command(
        "extract", table, "-o", tmp_path / "f", "--text", "text", "--keep", "sense", "--feature", "words@all"
    )
    direct = command("senses", "bank", table, "--text", "text", "--label", "sense")
    assert command("senses", "bank", tmp_path / "f", "--label", "sense") == direct
    code, _, err = command("senses", "bank", tmp_path / "f", "-m", "some/model")
    assert (code, "needs no model" in err) == (2, True)


def test_what_a_reader_has_to_know_is_noted(command, tmp_path):
    lines = tmp_path / "lines.csv"
    lines.write_text("text,sense\n" + "a bank,a\nthe bank,a\nmy bank of it,b\n" + "his bank,a\n" * 30)
    code, out, err = command("senses", "bank", lines, "--text", "text", "--label", "sense", "--layer", 3)
    assert code == 0
    assert "Only one use, so silhouette 0 and never accurate: b." in err
    assert "The first 30 uses are listed; --json has all." in err
    assert "33 uses are too many for a table side by side; --json and --png have them." in err
    assert "a 29" in out
    assert "a 30" not in out
    seal = tmp_path / "seal.csv"
    ls.samples.table().query("word == 'seal'").to_csv(seal, index=False)
    assert (
        "Layer 0 knows a word and its place, no context"
        in command("senses", "seal", seal, "--text", "text", "--label", "sense")[2]
    )


@pytest.mark.parametrize("options", [[], ["--layer", "4"]])
def test_figures(command, table, tmp_path, options):
    code, _, err = command("senses", "bank", table, "--text", "text", "--svg", tmp_path / "b.svg", *options)
    assert code == 0
    assert f"Drawn into {tmp_path / 'b.svg'}." in err
    assert (tmp_path / "b.svg").read_text().rstrip().endswith("</svg>")


def test_from_stdin(command):
    code, out, _ = command("senses", "bank", "-", stdin="the bank\n\nA BANK!\n👻 bank, bank\n")
    assert code == 0
    assert "A [BANK]!" in out
    assert "4 uses" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Give a word and where to look"),
        (["bank"], "Give a word and where to look"),
        (["bnak", "TABLE"], "'bnak' is in none of the 58 texts of samples.csv. Near to it are: 'bank'"),
        (["bank", "nowhere.csv"], "There is no file 'nowhere.csv'"),
        (["bank", "TABLE", "--label", "senses"], "Did you mean 'sense'"),
        (["bank", "TABLE", "--label", "word"], "All 6 uses of 'bank' have the label 'bank'"),
        (["fisherman", "TABLE"], "there only once, in row 0"),
        (["bank", "TABLE", "--layer", "9"], "Layer 9 does not exist"),
        (["bank", "TABLE", "--png", "b.svg"], "ends with .png"),
    ],
)
def test_mistakes_are_one_line(command, table, words, message):
    given = [table if word == "TABLE" else word for word in words]
    code, out, err = command("senses", *given, *(["--text", "text"] if table in given else []))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
