import json

import pytest

ROWS = [
    (f"{text} {more}", kind)
    for more in ("today", "again", "as ever")
    for text, kind in (
        ("He sat on the river bank", "water"), ("The shore was muddy", "water"), ("A boat lay by the stream", "water"),
        ("She asked for a loan", "money"), ("He paid in cash", "money"), ("Their account was empty", "money"),
    )
]  # fmt: skip


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text(
        "text,kind,author\n" + "".join(f"{text},{kind},{n % 6}\n" for n, (text, kind) in enumerate(ROWS))
    )
    return path


def test_sweep(command, table, tmp_path):
    code, out, err = command(
        "sweep", table, "--text", "text", "--label", "kind", "-f", "mean@all", "-f", "mean@-4:/concat",
        "--cv", 3, "--png", tmp_path / "s.png",
    )  # fmt: skip
    assert code == 0, err
    assert "accuracy of a ridge probe, 3 folds, 18 texts" in out
    assert "mean@-4:/concat" in out
    assert "the fewest layers within one standard error of the best" in out
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_as_json_with_groups(command, table, tmp_path):
    code, out, err = command(
        "sweep", table, "--text", "text", "--label", "kind", "--group", "author", "-f", "mean@2", "--cv", 2,
        "--json",
    )  # fmt: skip
    assert code == 0, err
    found = json.loads(out)
    assert found["best"] == "mean@2"
    assert found["examples"] == 18


def test_words_of_a_treebank(command, tmp_path):
    path = tmp_path / "t.conllu"
    path.write_text("1\tA\ta\tDET\t_\t_\t2\tdet\t_\t_\n2\tghost\tghost\tNOUN\t_\t_\t0\troot\t_\t_\n\n" * 4)
    code, out, err = command("sweep", path, "--label", "upos", "--cv", 2)
    assert code == 0, err
    assert "8 words" in out
    assert "words@6" in out


def test_mistakes(command, table, tmp_path):
    label = ["--text", "text", "--label", "kind"]
    for words, message in (
        (["sweep", table], "Give what to read, and its labels"),
        (["sweep", table, "--text", "text", "--label", "sort"], "'sort'"),
        (["sweep", table, *label, "-f", "words@1"], "a feature is one vector a text"),
        (
            ["sweep", table, *label, "--cv", 40],
            "The class 'money' has 9 examples, fewer than the 40 folds",
        ),
        (["sweep", table, *label, "--probe", "tree"], "'tree'"),
    ):
        code, _, err = command(*words)
        assert code == 2
        assert message in err
        assert err.count("\n") == 1
