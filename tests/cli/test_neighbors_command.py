import json

import pytest

import layerscope as ls


def test_a_table_for_each_token(command, model):
    code, out, err = command("neighbors", "ghost", "subword", "-k", 2)
    assert (code, err) == (0, "")
    assert "Nearest to the token 'ghost', by cosine" in out
    assert "Nearest to the mean of the tokens 'sub', '##word', by cosine" in out
    for word in ("ghost", "subword"):
        for _, row in ls.neighbors(model, word, k=2).table().iterrows():
            assert f"{row.token} " in out
            assert f"{row.similarity:.3f}" in out
    assert f"Input embeddings of {model.name}; no output matrix" in out


def test_as_json_by_id(command, model):
    code, out, _ = command("neighbors", "--ids", 5745, "-k", 3, "--metric", "dot", "--json")
    (found,) = json.loads(out)
    assert code == 0
    expected = ls.neighbors(model, 5745, k=3, metric="dot").to_dict()
    assert found == json.loads(json.dumps(expected))


def test_spaces_show_and_the_output_matrix(command, tiny_folder):
    code, out, _ = command("neighbors", "to", "-m", tiny_folder("gpt2"), "--matrix", "output", "-k", 1)
    assert code == 0
    assert "·to" in out
    assert "Output embeddings of" in out
    assert "; the input matrix is the same" in out
    assert "; the output matrix is another" in command("neighbors", "to", "-m", tiny_folder("qwen3"))[1]


@pytest.mark.parametrize("tokens", [["ghost"], ["ghost", "house", "to"]])
def test_a_figure(command, tmp_path, tokens):
    code, _, err = command("neighbors", *tokens, "--png", tmp_path / "n.png")
    assert (code, err) == (0, f"Drawn into {tmp_path / 'n.png'}.\n")
    assert (tmp_path / "n.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Give a token or a word"),
        (["--ids", "ghost"], "With --ids a TOKEN is a whole number"),
        (["👻"], "does not know '👻'"),
        (["ghost", "--matrix", "output"], "no language-model head"),
        (["ghost", "--metric", "euclid"], "known: cosine, dot"),
        (["ghost", "-k", "0"], "-k"),
        (["ghost", "--png", "n.jpg"], "ends with .png"),
    ],
)
def test_mistakes_are_one_line(command, words, message):
    code, out, err = command("neighbors", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
