import json

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

import layerscope as ls
from layerscope.errors import InputError, ModelError
from layerscope.probing.export import export
from layerscope.probing.swept import Score, Sweep
from layerscope.reduce.feature import Feature

TEXTS = [
    "Seeing is believing.",
    "A ghost.",
    "Then I tried to find some way of embracing my mother's ghost.",
    "",
]
FEATURES = [
    "mean@4",
    "mean@-1",
    "cls@0",
    "max@3",
    "last@2",
    "mean_sqrt@1",
    "weighted_mean@5",
    "mean@-4:/mean",
    "cls@1:3/mean",
    "mean@-4:/concat",
    "last@2:4/concat",
    "max@1:4/concat",
    "max@-4:/mean",
    "mean@0:3/sum",
]


def of(model, feature, texts):
    return np.stack([model.run(text).feature(feature) for text in texts])


@pytest.mark.parametrize("feature", FEATURES)
def test_plain_sentence_transformers_gives_the_same(model, tmp_path, feature):
    out = export(model, tmp_path / "out", feature)
    found = SentenceTransformer(str(out), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(found, of(model, feature, TEXTS), atol=1e-5)


@pytest.mark.parametrize("feature", ["mean@2", "last@-1", "mean@0:3/mean", "max@0", "mean@-4:/concat"])
def test_every_family(tiny, family, tmp_path, feature):
    model = tiny(family)
    if model.kind == "encoder-decoder":
        with pytest.raises(InputError, match="is an encoder-decoder; encoders and decoders can be exported"):
            export(model, tmp_path / "out", feature)
        return
    texts = ["Seeing is believing.", "A ghost of the first and the second."]
    found = SentenceTransformer(str(export(model, tmp_path / "out", feature)), device="cpu").encode(texts)
    expected = of(model, feature, texts)
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, np.abs(expected).max()))


def test_only_the_blocks_that_are_needed_are_there(model, tiny, tmp_path):
    for name, cut, feature, blocks in (
        ("post-norm", model, "mean@2", 2),
        ("whole", model, "mean@6", 6),
        (
            "pre-norm",
            tiny("gpt2"),
            "last@1",
            2,
        ),  # the final norm follows the last block, so there is one more
    ):
        config = json.loads((export(cut, tmp_path / name, feature) / "config.json").read_text())
        assert config.get("num_hidden_layers", config.get("n_layer")) == blocks
    assert (tmp_path / "post-norm" / "model.safetensors").stat().st_size < 0.8 * (
        tmp_path / "whole" / "model.safetensors"
    ).stat().st_size


def test_layerscope_reads_it_too(model, tmp_path):
    read = ls.load(export(model, tmp_path / "out", "mean@3"))
    assert read.num_layers == 3
    np.testing.assert_allclose(of(read, "mean@-1", TEXTS), of(model, "mean@3", TEXTS), atol=1e-5)


@pytest.mark.parametrize(
    "feature", ["max@-4:/max", "cls@-4:/concat", "cls@1:3/sum", "mean@all", "words@1", "pooler@-1"]
)
def test_what_sentence_transformers_has_no_modules_for(model, tmp_path, feature):
    with pytest.raises(InputError, match="sentence-transformers has no modules that give"):
        export(model, tmp_path / "out", feature)
    assert not list(tmp_path.iterdir())


def test_the_best_of_a_sweep_or_the_best_that_can_be_exported(model, tmp_path):
    def result(feature, score):
        parsed = Feature.parse(feature)
        return Score(parsed, max(parsed.resolve(6)), 384, np.array([score, score]), np.zeros(2))

    def swept(*results):
        return Sweep(model, "text", "classify", "accuracy", "ridge", results, np.zeros(2), 9, 0, {})

    out = swept(result("mean@2", 0.7), result("mean@1:3/concat", 0.8)).export(tmp_path / "best")
    found = SentenceTransformer(str(out), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(found, of(model, "mean@1:3/concat", TEXTS), atol=1e-5)
    other = swept(result("mean@2", 0.7), result("max@1:3/max", 0.8))
    with pytest.raises(
        InputError, match="The best that it has modules for is mean@2, with 0.700 instead of 0.800"
    ):
        other.export(tmp_path / "other")
    with pytest.raises(InputError, match=r"no modules that give max@1:3/max\.$"):
        swept(result("max@1:3/max", 0.8)).export(tmp_path / "other")
    assert (other.export(tmp_path / "other", "mean@2") / "modules.json").is_file()


def test_words_are_not_exported(model, tmp_path):
    found = Sweep(model, "word", "classify", "accuracy", "ridge", (), np.zeros(2), 9, 0, {})
    with pytest.raises(InputError, match="gives vectors of texts; this sweep is of words"):
        found.export(tmp_path / "out", "words@1")


def test_a_folder_that_is_there_stays(model, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("")
    with pytest.raises(InputError, match="out is there already; name a new folder"):
        export(model, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    export(model, tmp_path / "new" / "deep")
    (tmp_path / "empty").mkdir()
    export(model, tmp_path / "empty")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "new", "out"]


def test_a_link_leads_to_the_folder_and_a_tilde_to_ones_own(model, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    (tmp_path / "broken").symlink_to("new/deep")
    for name in ("link", "broken"):
        assert export(model, tmp_path / name) == tmp_path / name
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / name / "modules.json").is_file()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="loop cannot be written: "):
        export(model, tmp_path / "loop")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert export(model, "~/mine") == tmp_path / "mine"
    assert (tmp_path / "mine" / "modules.json").is_file()


@pytest.mark.parametrize("out", [None, 5, b"out", "", [], " "])
def test_what_is_no_folder(model, out):
    with pytest.raises(InputError, match="^out is the folder to write; not "):
        export(model, out)


def test_a_network_that_cannot_be_cut_is_refused_and_nothing_is_left(tiny_folder, tmp_path):
    model = ls.load(tiny_folder("bert"), device="cpu")
    block = model.hf.base_model.encoder.layer[0]
    forward = block.forward
    block.forward = lambda *args, **options: forward(*args, **options) * 1.5
    with pytest.raises(ModelError, match="cannot be cut behind layer 2 so that its states stay the same"):
        export(model, tmp_path / "out", "mean@2")
    assert not list(tmp_path.iterdir())
