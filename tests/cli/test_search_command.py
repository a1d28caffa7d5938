import json

import pandas as pd
import pytest

import layerscope as ls

TEXTS = ["He sat on the bank of the river.", "She asked the bank for a loan.", "A crane stood by the water."]


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    out = tmp_path_factory.mktemp("search") / "features"
    ls.extract(model, [*TEXTS, ""], out, ["mean@-1", "words@-1"])
    return out


def test_a_text(command, folder, tmp_path):
    csv = tmp_path / "near.csv"
    code, out, err = command(
        "search", folder, "A crane by the water", "--column", "mean_6", "-k", 2, "--csv", csv
    )
    assert (code, err) == (0, f"Written into {csv}.\n")
    assert "Nearest to “A crane by the water” in mean_6, by cosine" in out
    assert out.splitlines()[4].split()[0] == "2"
    found = pd.read_csv(csv)
    assert found["row"][0] == 2
    assert list(found.columns) == ["row", "score", "text"]


def test_a_word_in_its_text(command, folder):
    code, out, _ = command(
        "search", folder, "the bank lends money", "--word", "bank", "--column", "words_6", "-k", 1, "--json"
    )
    assert code == 0
    assert json.loads(out)["hits"][0]["context"] == "She asked the [bank] for a loan."


def test_what_is_like_a_row_needs_no_model(command, folder, monkeypatch):
    import layerscope.loading.checkpoint

    monkeypatch.setattr(layerscope.loading.checkpoint, "load", None)
    code, out, err = command("search", folder, "--like", 0, "--column", "mean_6", "-k", 2)
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[4:6]] == ["0", "1"]
    assert "1.000" in out.splitlines()[4]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Give a folder, and a text or --like ROW"),
        (["{}"], "Give a folder, and a text or --like ROW"),
        (["{}", "a", "--like", 1], "Give a folder, and a text or --like ROW"),
        (["{}", "a"], "There are several columns of features; name one in --column: mean_6, words_6."),
        (["{}", "a", "--column", "mean_5"], "Unknown column of features 'mean_5'"),
        (["{}", "a", "--column", "words_6"], "For words_6 a query is a vector, or (text, word)"),
        (["{}", "--like", 9, "--column", "mean_6"], "There is no row 9: rows are 0 to 3."),
        (["{}", "--like", 1, "--column", "words_6"], "'words_6' holds a list of vectors for each row"),
        (["{}", "--like", 1, "--column", "mean_6", "--model", "x"], "--model has no effect with --like"),
        (["{}", "a", "--word", "a", "--pair", "b"], "--word is of a single text: leave --pair out."),
        (["{}", "a", "--word", "b", "--column", "words_6"], "'b' is no word or phrase of the text"),
        (["nowhere", "a"], "There are no features in nowhere"),
    ],
)
def test_mistakes(command, folder, words, message):
    code, out, err = command("search", *(str(word).replace("{}", str(folder)) for word in words))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_another_model_is_refused(command, folder, tiny_folder):
    code, _, err = command("search", folder, "a", "--column", "mean_6", "--model", tiny_folder("bert"))
    assert code == 2
    assert "is not the model of these features" in err


def test_an_export(command, tmp_path):
    code, out, err = command("export", tmp_path / "best", "--feature", "mean@2", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"folder": str(tmp_path / "best"), "feature": "mean@2"}
    assert (tmp_path / "best" / "modules.json").is_file()
    code, _, err = command("export", tmp_path / "best")
    assert code == 2
    assert "is there already; name a new folder." in err
    code, _, err = command("export")
    assert (code, err) == (
        2,
        "layerscope: Give the folder to write: layerscope export best --feature mean@4\n",
    )
