"""A trace on disk: written whole, read back without the model and without torch."""

import json
import subprocess
import sys

import numpy as np
import pytest

import layerscope as ls

TEXT, TARGET = "Then I tried to find some way of embracing my mother's ghost.", "My mother's ghost."


def same(trace, opened):
    """The opened trace answers as the trace does."""
    assert opened.outputs.keys() == trace.outputs.keys()
    for name, array in trace.outputs.items():
        assert opened.outputs[name].dtype == np.float32
        np.testing.assert_array_equal(opened.outputs[name], array)
    for name in (
        "model",
        "kind",
        "layers",
        "decoder_layers",
        "windows",
        "heads",
        "labels",
        "attention_layers",
    ):
        assert getattr(opened, name) == getattr(trace, name), name
    assert opened.missing == dict(trace.missing)
    for one, other in ((trace.tokens, opened.tokens), (trace.target, opened.target)):
        assert (one is None) == (other is None)
        if one is not None:
            assert other.to_dict() == one.to_dict()
            assert other.num_cut == one.num_cut


def test_every_family(family, tiny, tmp_path):
    model = tiny(family)
    trace = model.run(
        TEXT,
        target=TARGET if model.is_encoder_decoder else None,
        attention=bool(model.num_heads),
        logits=model.has_head,
    )
    opened = ls.open_trace(trace.save(tmp_path / "trace.safetensors"))
    same(trace, opened)
    np.testing.assert_array_equal(opened.vector("ghost"), trace.vector("ghost"))
    np.testing.assert_array_equal(opened.feature("mean@all"), trace.feature("mean@all"))
    if "attentions" in trace.outputs:
        assert opened.attention(1, 0, "word").equals(trace.attention(1, 0, "word"))


@pytest.mark.parametrize(
    "run",
    [
        lambda model: model.run("a pair", "of texts", layers=[0, 6]),
        lambda model: model.run("bank " * 700),
        lambda model: model.run("bank " * 700, long="cut"),
        lambda model: model.run(""),
        lambda model: model.run(model.tokenize("the river bank", words=["the", "river bank"])),
        lambda model: model.run("银行 🙂 \n"),
    ],
    ids=["pair", "windows", "cut", "empty", "own words", "scripts"],
)
def test_awkward_texts(model, tmp_path, run):
    trace = run(model)
    same(trace, ls.open_trace(trace.save(tmp_path / "trace.safetensors")))


def test_a_classifier_keeps_its_labels(tiny_folder, tmp_path):
    from transformers import AutoModelForTokenClassification

    hf = AutoModelForTokenClassification.from_pretrained(tiny_folder("bert"), num_labels=3)
    hf.save_pretrained(tmp_path / "tagger")
    ls.load(tiny_folder("bert")).tokenizer.save_pretrained(tmp_path / "tagger")
    trace = ls.load(tmp_path / "tagger", task="token-classification").run("a bank", logits=True)
    opened = ls.open_trace(trace.save(tmp_path / "trace.safetensors"))
    assert opened.labels == trace.labels
    assert "token, label" in opened.table().loc["logits", "axes"]


def test_it_opens_without_torch(model, tmp_path):
    path = model.run(TEXT, attention=True).save(tmp_path / "trace.safetensors")
    code = (
        "import sys, layerscope as ls\n"
        f"trace = ls.open_trace({str(path)!r})\n"
        "trace.table(), trace.tokens.table(), trace.vector('ghost', layer=3)\n"
        "trace.attention(2, 3, 'word')\n"
        "assert not {'torch', 'transformers'} & set(sys.modules), 'torch'\n"
        "print(trace)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("Trace(all-MiniLM-L6-v2, 17 tokens")


def test_other_frameworks_read_the_arrays(model, tmp_path):
    from safetensors.numpy import load_file

    trace = model.run("a bank")
    arrays = load_file(trace.save(tmp_path / "trace.safetensors"))
    np.testing.assert_array_equal(arrays["outputs.hidden_states"], trace.hidden_states)


def test_opened_tokens_belong_to_no_model(model, tmp_path):
    opened = ls.open_trace(model.run("a bank").save(tmp_path / "t.safetensors"))
    with pytest.raises(ls.InputError, match="was tokenised for another model"):
        model.run(opened.tokens)
    with pytest.raises(ls.InputError, match="The id 7 is not among the tokens that were saved"):
        opened.tokens.vocabulary.strings([7])


def test_what_is_no_trace_is_refused(model, tmp_path):
    from safetensors.numpy import save_file

    with pytest.raises(ls.InputError, match="There is no file"):
        ls.open_trace(tmp_path / "nowhere.safetensors")
    (tmp_path / "text.safetensors").write_text("no such file")
    with pytest.raises(ls.StorageError, match="cannot be read as a layerscope trace"):
        ls.open_trace(tmp_path / "text.safetensors")
    save_file({"a": np.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ls.StorageError, match="is no layerscope trace"):
        ls.open_trace(tmp_path / "other.safetensors")
    for header, message in (
        ({"version": 9, "about": {}}, "by a later version of Layerscope"),
        ({"version": 1, "about": {}}, "is a damaged trace"),
        ({"version": 1, "about": {"target": 5}}, "is a damaged trace"),
        ({"version": 1}, "cannot be read as a layerscope trace"),
        ({"version": "x"}, "cannot be read as a layerscope trace"),
    ):
        said = json.dumps({"format": "layerscope trace", **header})
        save_file({"a": np.zeros(2)}, tmp_path / "bad.safetensors", {"layerscope": said})
        with pytest.raises(ls.StorageError, match=message):
            ls.open_trace(tmp_path / "bad.safetensors")


def test_a_trace_that_cannot_be_written_leaves_nothing_behind(model, tmp_path):
    trace = model.run("a")
    with pytest.raises(ls.InputError, match="cannot be written: there is no folder"):
        trace.save(tmp_path / "no" / "such" / "folder.safetensors")
    kept = trace.save(tmp_path / "kept.safetensors")
    before = kept.read_bytes()
    assert trace.save(kept).read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["kept.safetensors"]
