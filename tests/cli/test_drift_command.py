import json

POEMS = '{"title": "A", "text": "Because I could not stop for Death"}\n{"title": "B", "text": "He kindly stopped"}\n'


def test_drift(command, tmp_path):
    (tmp_path / "poems.jsonl").write_text(POEMS)
    code, out, err = command(
        "drift", tmp_path / "poems.jsonl", "--text", "text", "--id", "title",
        "--png", tmp_path / "d.png", "--svg", tmp_path / "d.svg",
    )  # fmt: skip
    assert code == 0
    assert "Cosine with the static embeddings (layer 0), 2 texts, mean pooling" in out
    assert "[CLS]: cosine of the static embedding with the pooler output" in out
    assert "Drawn into" in err
    assert (tmp_path / "d.png").read_bytes().startswith(b"\x89PNG")
    assert "cosine with the static embeddings" in (tmp_path / "d.svg").read_text()
    code, out, _ = command("drift", tmp_path / "poems.jsonl", "--text", "text", "--id", "title", "--json")
    found = json.loads(out)
    assert found["texts"] == ["A", "B"]
    assert len(found["static"][0]) == 6


def test_the_same_figure_is_the_same_file(command, tmp_path):
    (tmp_path / "poems.jsonl").write_text(POEMS)
    for name in ("a.svg", "b.svg"):
        command("drift", tmp_path / "poems.jsonl", "--text", "text", "--svg", tmp_path / name)
    assert (tmp_path / "a.svg").read_text() == (tmp_path / "b.svg").read_text()


def test_mistakes(command, tmp_path):
    (tmp_path / "poems.txt").write_text("a line\n")
    for words, message in (
        (["drift"], "Give what to read: layerscope drift poems.jsonl --text text"),
        (["drift", tmp_path / "none.txt"], "none.txt"),
        (["drift", tmp_path / "poems.txt", "--against", "next", "--png", tmp_path / "x.png"], "'next'"),
        (["drift", tmp_path / "poems.txt", "--against", "previous"], "--against has no effect without --png"),
        (
            ["drift", tmp_path / "poems.txt", "--png", tmp_path / "d.jpg"],
            "--png writes a file that ends with .png",
        ),
        (["drift", tmp_path / "poems.txt", "--png", tmp_path / "no" / "d.png"], "there is no folder"),
    ):
        code, out, err = command(*words)
        assert (code, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1
