"""The command, in this process; what only a process of its own can show is at the end."""

import json
import signal
import subprocess
import sys
import warnings

import pytest
import transformers

from layerscope import __version__
from layerscope.errors import NewHeadWarning
from tiny import build, quiet, tokenizer

SENTENCE = "Then I tried to find some way of embracing my mother's ghost."


def test_tokens(command):
    code, out, err = command("tokens", SENTENCE)
    assert (code, err) == (0, "")
    assert "23581" in out
    assert "mother's" in out
    code, out, _ = command("tokens", "What did I do then?", "--pair", SENTENCE, "--json")
    found = json.loads(out)
    assert [token["token_type"] for token in found["tokens"]] == [0] * 8 + [1] * 16
    assert found["tokens"][0] == {
        "token": 0, "id": 101, "string": "[CLS]", "start": 0, "end": 0,
        "word": None, "word_index": -1, "special": True, "token_type": 0, "text": -1,
    }  # fmt: skip


@pytest.mark.parametrize("words", [["tokens"], ["tokens", "-"]])
def test_a_text_from_stdin(command, words):
    code, out, _ = command(*words, "--json", stdin="Mehdi loves AI\n")
    assert code == 0
    assert [token["id"] for token in json.loads(out)["tokens"]] == [101, 2033, 22960, 7459, 9932, 102]
    assert json.loads(out)["text"] == "Mehdi loves AI"


def test_stdin_that_is_no_text(command):
    code, out, err = command("tokens", stdin=b"\xff\xfe")
    assert (code, out) == (2, "")
    assert err == "layerscope: The text on stdin is not UTF-8 (at byte 0); convert it first.\n"


def test_look(command):
    code, out, err = command("look", SENTENCE)
    assert (code, err) == (0, "")
    for part in ("Tokens", "What each word attends to most", "Length of the vectors"):
        assert part in out
    code, out, _ = command("look", SENTENCE, "--layer", "1,-1", "--json")
    found = json.loads(out)
    assert sorted(found["attention"]) == ["1", "6"]
    assert len(found["lengths"]) == 7
    assert found["attention"]["6"][0]["from"] == "Then"


def test_look_at_the_real_decoder(command, decoder_file):
    code, out, err = command("look", "The capital of France is", "--model", decoder_file, "-k", 2)
    assert (code, err) == (0, "")
    assert "·Paris" in out
    assert "30" in out


def test_models_that_lack_what_others_have(command, tmp_path):
    """One without attention is described and looked at; one that reads no text is one line."""
    size = len(tokenizer("qwen"))
    without_heads = transformers.MambaConfig(
        hidden_size=32, num_hidden_layers=2, state_size=8, vocab_size=size
    )
    with quiet():
        build("qwen3", tmp_path / "mamba")  # for its tokenizer
        transformers.MambaForCausalLM(without_heads).save_pretrained(tmp_path / "mamba")
        vit = transformers.ViTConfig(
            hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
        )
        transformers.ViTModel(vit).save_pretrained(tmp_path / "vit")
    code, out, err = command("describe", tmp_path / "mamba")
    assert (code, err) == (0, "")
    assert "2, hidden size 32" in out
    code, out, _ = command("look", SENTENCE, "--model", tmp_path / "mamba", "--json")
    assert (code, json.loads(out)["attention"]) == (0, {})
    for words in (["describe", tmp_path / "vit"], ["look", SENTENCE, "--model", tmp_path / "vit"]):
        code, out, err = command(*words)
        assert (code, out) == (2, "")
        assert err == f"layerscope: {tmp_path / 'vit'} reads no text: ViTModel takes pixel_values.\n"


def test_compare(command):
    code, out, err = command(
        "compare", "President greets the press in Chicago", "Obama speaks to media in Illinois"
    )
    assert (code, err) == (0, "")
    assert "Chicago" in out
    code, out, _ = command("compare", "a bank", "the bank", "--layer", 3, "--json")
    found = json.loads(out)
    assert found["words"]["rows"] == ["a", "bank"]
    assert found["texts"]["values"][0][0] == pytest.approx(1, abs=1e-5)


def test_compare_as_a_figure(command, tmp_path):
    code, out, err = command("compare", "a bank", "the river bank", "--svg", tmp_path / "bank.svg")
    assert (code, err) == (0, f"Drawn into {tmp_path / 'bank.svg'}.\n")
    assert "Words (layer 6)" in out
    drawn = (tmp_path / "bank.svg").read_text()
    assert "and “the river bank”" in drawn
    assert "cosine similarity" in drawn


def test_compare_with_the_real_decoder(command, decoder_file):
    code, out, _ = command(
        "compare", "a bank", "a bank", "--model", decoder_file, "--pooling", "last", "--json"
    )
    assert code == 0
    assert json.loads(out)["texts"]["values"][0][1] == pytest.approx(1, abs=1e-5)


def test_describe(command, tmp_path):
    code, out, _ = command("describe", "--json")
    found = json.loads(out)
    assert (code, found["num_parameters"], found["context_window"]) == (0, 22_713_216, 512)
    folder = build("llama", tmp_path / "llama")
    code, out, err = command("describe", folder)
    assert (code, err) == (0, "")
    for part in ("LlamaForCausalLM", "lm_head", "embed_tokens", "SHA-256"):
        assert part in out


def test_verify(command, tmp_path):
    code, out, err = command("verify", build("gpt2", tmp_path / "gpt2"), "--text", "a b", "--text", "c d e")
    assert code == 0
    assert out.count("equal") == 5
    assert "equals plain transformers: largest relative difference" in err
    code, out, _ = command("verify", "--text", "a b", "--json")
    assert json.loads(out)["passed"] is True


def test_verify_ends_with_1_where_something_differs(command, tmp_path, monkeypatch):
    monkeypatch.setattr("layerscope.network.outputs.TOLERANCES", {"float32": -1.0})
    code, out, err = command("verify", build("gpt2", tmp_path / "gpt2"), "--text", "a b")
    assert code == 1
    assert "DIFFERENT" in out
    assert "DIFFERS" in err


def test_demo(command, tmp_path):
    code, out, err = command("demo", "--out", tmp_path / "new" / "demo")
    assert (code, err) == (0, "")
    assert "what it holds" in out
    code, out, _ = command("demo", "--out", tmp_path / "other", "--json")
    assert any(path.endswith("features.parquet") for path in json.loads(out)["files"])
    code, _, err = command("demo", "--out", __file__)
    assert code == 2
    assert "cannot be made" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["lok", "x"], "No such command 'lok'"),
        (["look", "x", "--lyers", "1"], "No such option: --lyers"),
        (["compare", "a"], "Missing argument 'b'"),
        (["look", "x", "--layer", "7"], "Layer 7 does not exist: this model has layers 0 (embeddings) to 6"),
        (["look", "x", "--layer", "1,b"], "a range (-4:, 0:6) or a list (1,6,12), not '1,b'."),
        (["look", "x", "-k", "0"], "Invalid value for '-k'"),
        (["look", "a " * 600], "must fit"),
        (["compare", "a", "b", "--pooling", "avg"], "Unknown pooling 'avg'; known: mean"),
        (["tokens", "x", "--model", "no/where"], "no/where"),
        (["tokens", "x", "--model", "./nowhere"], "nowhere"),
        (["look", "x", "--dtype", "float8"], "dtype"),
        (["look", "x", "--device", "abacus"], "device"),
        (["describe", "a", "--model", "b"], "Name the model once"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(command, words, says):
    code, out, err = command(*words)
    assert code == 2
    assert out == ""
    assert says in err
    assert err.startswith("layerscope: ")
    assert err.count("\n") == 1


def test_help_has_examples(command):
    for verb in ("tokens", "describe", "look", "compare", "verify", "demo"):
        code, out, err = command(verb, "--help")
        assert (code, err) == (0, "")
        assert f"layerscope {verb}" in out.split("Examples")[1]
    assert command("--version")[1].strip() == __version__
    code, out, _ = command()
    assert code == 0
    assert "compare" in out


def test_json_has_no_number_that_json_does_not_know(command, tmp_path):
    code, out, _ = command("compare", "", "a", "--model", build("bert", tmp_path / "bert"), "--json")
    assert code == 0
    assert "NaN" not in out


def test_warnings_are_notes_if_they_are_ours_and_else_are_not_shown(command, monkeypatch):
    def warn(*_):
        warnings.warn("a head is new", NewHeadWarning, stacklevel=1)
        warnings.warn("library internals", UserWarning, stacklevel=1)
        return "x"

    monkeypatch.setattr("layerscope.cli.tokens.read_text", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        code, _, err = command("tokens", "x")
    assert code == 0
    assert err == "note: a head is new\n"


def test_a_head_without_weights_is_not_looked_at(command, tmp_path):
    config = json.loads((build("bert", tmp_path / "bert") / "config.json").read_text())
    bare = build("bert", tmp_path / "bare", head=False)
    (bare / "config.json").write_text(json.dumps(config | {"architectures": ["BertForMaskedLM"]}))
    code, out, err = command("look", "a [MASK] b", "--model", bare)
    assert (code, err) == (0, "")
    assert "What the model expects" not in out


@pytest.mark.slow
def test_as_a_process():
    """A reader that stops early, and an interrupt while it works."""
    piped = subprocess.run(
        f"{sys.executable} -m layerscope.cli tokens --json 'a b c' | head -1",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert piped.stdout == "{\n"
    assert piped.stderr == ""
    full = subprocess.run(
        f"{sys.executable} -m layerscope.cli tokens 'a b c' > /dev/full",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert full.returncode == 2
    assert full.stderr == "layerscope: What was found cannot be printed: No space left on device.\n"
    waiting = subprocess.Popen(
        [sys.executable, "-m", "layerscope.cli", "tokens"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(4)
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    assert err == "layerscope: stopped.\n"


def test_a_warning_speaks_of_options_too(command, tmp_path):
    folder = build("bert", tmp_path / "bert")
    config = json.loads((folder / "config.json").read_text()) | {
        "architectures": ["BertForTokenClassification"]
    }
    (folder / "config.json").write_text(json.dumps(config))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        code, _, err = command("look", "a ghost", "--model", folder, "--json")
    assert code == 0
    assert "was saved with a head for token-classification, which was left out" in err
    assert err.rstrip().endswith("load it with --task token-classification.")
