"""What lies in the folder is what the traces say, for every family and every kind of row."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

import layerscope as ls
from layerscope import samples
from layerscope.errors import InputError, ModelError, StorageError
from layerscope.extraction.extract import extract
from layerscope.reduce.feature import Feature
from layerscope.reduce.pooling import POOLINGS

FEATURES = [
    "mean@all",
    "max@-1",
    "last@-2",
    "mean_sqrt@0",
    "weighted_mean@-1",
    "mean@-2:/concat",
    "max@0:2/mean",
]


def close(given, expected):
    expected = np.asarray(expected)
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(given / scale, expected / scale, atol=1e-5)


def as_traced(model, texts, frame, features, **options):
    """Compare a folder, as a frame, with the traces of its texts one by one."""
    for number, text in enumerate(texts):
        trace = model.run(*text, **options) if isinstance(text, tuple) else model.run(text, **options)
        assert frame["num_tokens"][number] == len(trace.tokens)
        for written in features:
            feature = Feature.parse(written)
            names = feature.columns(model.num_layers)
            vectors = np.atleast_2d(trace.feature(feature))
            for name, vector in zip(names, vectors, strict=True):
                close(np.asarray(frame[name][number], dtype=np.float32), vector)


def test_every_family_gives_what_its_traces_give(tiny, family, tmp_path):
    model = tiny(family)
    texts = ["A ghost.", "Seeing is believing and a bit more.", "the", "One two three four five six."]
    features = FEATURES + (["cls@-1"] if model.tokenize("a").cls_index is not None else [])
    extracted = extract(model, texts, tmp_path / "out", features, part_rows=3)
    as_traced(model, texts, extracted.to_pandas(), features)
    assert extracted.manifest.complete
    assert len(extracted.manifest.parts) == 2


def test_batches_of_any_size_and_parts_of_any_length_give_the_same(model, tmp_path):
    texts = samples.texts()
    whole = extract(model, texts, tmp_path / "a", ["mean@all"]).to_numpy("mean_6")
    for number, (rows, tokens) in enumerate([(1, 4096), (7, 1), (20, 64)]):
        other = extract(
            model, texts, tmp_path / str(number), ["mean@all"], part_rows=rows, batch_tokens=tokens
        )
        close(other.to_numpy("mean_6"), whole)


def test_a_pairs_features_are_those_of_its_trace(model, tmp_path):
    pairs = [("A ghost.", "Whose mother?"), ("Seeing", "is believing.")]
    extracted = extract(model, pairs, tmp_path / "out", ["mean@-1", "words@-1"])
    frame = extracted.to_pandas()
    as_traced(model, pairs, frame, ["mean@-1"])
    assert list(frame["pair"]) == ["Whose mother?", "is believing."]
    assert list(frame["word_sequences"][1]) == [0, 1, 1, 1]


def test_long_texts_pass_in_windows_and_are_pooled_as_a_whole(tiny, tmp_path):
    model = tiny("bert")
    texts = ["a short one", "seeing is believing " * 60]
    features = ["mean@all", "max@-1", "last@-1", "weighted_mean@-1", "mean_sqrt@-1", "mean@-2:/concat"]
    frame = extract(model, texts, tmp_path / "out", features).to_pandas()
    assert frame["num_windows"][0] == 1
    assert frame["num_windows"][1] == len(model.run(texts[1]).windows) > 2
    as_traced(model, texts, frame, features)


def test_of_several_windows_there_is_no_cls_and_the_row_says_so(tiny, tmp_path):
    model = tiny("bert")
    extracted = extract(
        model, ["seeing is believing " * 60, "short"], tmp_path / "out", ["cls@-1", "mean@-1"]
    )
    frame = extracted.to_pandas()
    assert frame["cls_3"][0] is None
    assert "cls_3: The text passed in" in frame["error"][0]
    assert np.isfinite(np.stack(frame["mean_3"])).all()
    assert extracted.manifest.errors == 1


def test_cut_texts_say_how_much_was_cut(tiny, tmp_path):
    model = tiny("bert")
    text = "seeing is believing " * 60
    frame = extract(model, [text], tmp_path / "out", ["cls@-1"], long="cut").to_pandas()
    assert frame["num_cut"][0] == len(model.tokenize(text)) - model.context_window
    close(frame["cls_3"][0], model.run(text, long="cut").feature("cls@-1"))


def test_rows_that_fail_say_why_and_the_others_are_there(model, tmp_path):
    texts = ["A ghost.", None, 3, "half \ud800 a pair", "Seeing is believing."]
    extracted = extract(model, texts, tmp_path / "out", ["mean@-1", "words@-1"])
    frame = extracted.to_pandas()
    errors = frame["error"]
    assert "The text is NoneType None" in errors[1]
    assert "The text is int 3" in errors[2]
    assert "surrogate" in errors[3]
    assert errors.isna().tolist() == [True, False, False, False, True]
    assert frame["mean_6"][1] is None
    assert frame["words_6"][2] is None
    assert extracted.manifest.errors == 3
    close(frame["mean_6"][4], model.run(texts[4]).feature("mean@-1"))


def test_the_first_row_that_fails_can_stop_the_run(model, tmp_path):
    with pytest.raises(InputError, match="Row 1 of the corpus: The text is NoneType None"):
        extract(model, ["a", None], tmp_path / "out", on_error="raise")
    with pytest.raises(
        InputError, match="Row 1 of the corpus: cls_6: The text passed in 2 overlapping windows"
    ):
        extract(model, ["a", "a " * 600], tmp_path / "other", ["cls@-1"], on_error="raise")


def test_words_and_tokens_come_with_their_strings_and_offsets(model, tmp_path):
    text = "Embracing my mother's ghost."
    frame = extract(model, [text, ""], tmp_path / "out", ["words@3", "tokens@-1"]).to_pandas()
    trace = model.run(text)
    assert list(frame["words"][0]) == [word.text for word in trace.tokens.words]
    assert [text[a:b] for a, b in zip(frame["word_starts"][0], frame["word_ends"][0], strict=True)] == list(
        frame["words"][0]
    )
    close(np.stack(frame["words_3"][0]), trace.word_vectors(3))
    assert tuple(frame["tokens"][0]) == trace.tokens.strings
    assert list(frame["token_ids"][0]) == trace.tokens.ids.tolist()
    assert list(frame["token_starts"][0]) == trace.tokens.offsets[:, 0].tolist()
    close(np.stack(frame["tokens_6"][0]), trace.hidden_state())
    assert list(frame["words"][1]) == []
    assert list(frame["tokens"][1]) == ["[CLS]", "[SEP]"]


def test_a_word_that_the_tokenizer_drops_has_no_vector(model, tmp_path):
    table = extract(model, ["a \ufffd ghost"], tmp_path / "out", ["words@-1"]).to_pandas()
    assert list(table["words"][0]) == ["a", "\ufffd", "ghost"]
    assert [vector is None for vector in table["words_6"][0]] == [False, True, False]


def test_a_pooling_of_ones_own_is_a_feature(model, tmp_path):
    @ls.pooling("second_of_extract")
    def second(states, tokens):
        return states[1]

    try:
        texts = ["A ghost.", "Seeing is believing."]
        extracted = extract(model, texts, tmp_path / "out", ["second_of_extract@-1", "mean@-1"])
        close(extracted.to_numpy("second_of_extract_6"), [model.run(one).hidden_state()[1] for one in texts])
    finally:
        del POOLINGS["second_of_extract"]


def test_the_poolers_output_is_a_feature_of_models_that_have_one(tiny, tmp_path):
    model = tiny("bert")
    extracted = extract(model, ["A ghost."], tmp_path / "out", ["pooler@-1"])
    close(extracted.to_numpy("pooler_3")[0], model.run("A ghost.").pooler_output)


def test_a_decoder_pools_its_last_token(decoder, tmp_path):
    texts = ["The capital of France is", "Seeing"]
    extracted = extract(decoder, texts, tmp_path / "out", ["last@-1", "mean@10"])
    as_traced(decoder, texts, extracted.to_pandas(), ["last@-1", "mean@10"])
    with pytest.raises(ModelError, match="'cls' needs a classification token"):
        extract(decoder, texts, tmp_path / "other", ["cls@-1"])


def test_what_is_kept_of_the_corpus_is_as_it_was(model, tmp_path):
    frame = pd.DataFrame(
        {"key": ["x", "y"], "body": ["A ghost.", "A bank."], "label": [3, 4], "tags": [["a"], []]}
    )
    table = extract(model, frame, tmp_path / "out", text="body", id="key", keep=["label", "tags"])
    schema = pa.schema(table.schema if hasattr(table, "schema") else [])
    read = table.to_pandas()
    assert list(read.columns[:4]) == ["key", "label", "tags", "text"]
    assert list(read["key"]) == ["x", "y"]
    assert read["label"].tolist() == [3, 4]
    assert not schema or schema.field("label").type == pa.int64()


def test_half_precision_columns_and_a_number_that_does_not_fit(model, tmp_path):
    @ls.pooling("huge_of_extract")
    def huge(states, tokens):
        return states.mean(axis=0) * (1e9 if len(states) > 5 else 1)

    try:
        texts = ["A ghost.", "Seeing is believing and more than that."]
        extracted = extract(
            model, texts, tmp_path / "out", ["mean@-1", "huge_of_extract@-1"], column_dtype="float16"
        )
        frame = extracted.to_pandas()
        assert frame["huge_of_extract_6"][1] is None
        assert "beyond 65504" in frame["error"][1]
        np.testing.assert_allclose(
            np.stack(frame["mean_6"]), [model.run(text).feature("mean@-1") for text in texts], atol=1e-3
        )
    finally:
        del POOLINGS["huge_of_extract"]


@pytest.fixture
def broken(tiny_folder):
    """A model of which one word's embedding is NaN, and a text with that word."""
    model = ls.load(tiny_folder("bert"), device="cpu")
    model.run("a")
    with torch.no_grad():
        model.hf.get_input_embeddings().weight[int(model.tokenize("ghost").ids[1])] = torch.nan
    return model


def test_vectors_that_are_no_numbers_are_errors_of_their_row(broken, tmp_path):
    texts = ["the first", "a ghost", "the last"]
    specs = ["mean@all", "max@-1", "cls@-1", "mean@-2:/concat", "max@all/max", "words@-1", "tokens@0"]
    features = ls.extract(broken, texts, tmp_path / "rows", specs)
    table = features.to_pandas()
    assert features.num_errors == 1
    assert table["error"].isna().tolist() == [True, False, True]
    assert table["error"][1] == "mean_0: holds NaN or infinity, which the model gave"
    for name in features.columns:
        assert table[name].isna().tolist() == [False, True, False], name
    with pytest.raises(
        InputError, match="Row 1 of the corpus: mean_0: holds NaN or infinity, which the model gave"
    ):
        ls.extract(broken, texts, tmp_path / "raise", specs, on_error="raise")


def test_a_network_that_overflows_in_half_precision_gives_no_vector(tiny_folder, tmp_path):
    model = ls.load(tiny_folder("bert"), device="cpu")
    with torch.no_grad():
        model.hf.bert.encoder.layer[2].output.LayerNorm.weight.mul_(1e6)
    features = ls.extract(
        model, ["the bank", "a river"], tmp_path / "out", ["mean@all", "words@-1"], dtype="float16"
    )
    table = features.to_pandas()
    assert features.num_errors == 2
    assert table["mean_3"].isna().all()
    assert table["mean_2"].notna().all()


def test_an_empty_corpus_is_a_folder_without_rows(model, tmp_path):
    extracted = extract(model, [], tmp_path / "out")
    assert extracted.manifest.complete
    assert len(extracted) == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"features": []}, "Name at least one feature"),
        ({"features": ["mean@all", "mean@6"]}, "give the column mean_6 twice"),
        ({"features": ["mean@9"]}, "Layer 9 does not exist"),
        ({"features": ["medium@1"]}, "Unknown pooling 'medium'"),
        ({"dtype": "bf16"}, "Unknown dtype 'bf16'; known: auto, float32, bfloat16, float16"),
        ({"column_dtype": "int8"}, "Unknown column_dtype 'int8'"),
        ({"long": "split"}, "Unknown way with long texts 'split'"),
        ({"on_error": "ignore"}, "Unknown way with errors 'ignore'"),
        ({"part_rows": 0}, "part_rows is a whole number, at least 1; not 0"),
        ({"batch_tokens": True}, "batch_tokens is a whole number"),
        ({"engine": "spark"}, "Unknown engine 'spark'; known: local, ray"),
        ({"address": "auto"}, "address= names a Ray cluster"),
        ({"out": ""}, "The folder of features is a path or an address"),
        ({"out": "nosuch://bucket/x"}, "nosuch://bucket/x cannot be reached"),
    ],
)
def test_what_cannot_be_is_said_at_once(model, tmp_path, options, sentence):
    arguments = {"out": tmp_path / "out"} | options
    with pytest.raises(InputError, match=sentence):
        extract(model, ["a"], **arguments)
    assert not (tmp_path / "out" / "_manifest.json").exists()


def test_a_name_that_is_taken_cannot_be_kept(model, tmp_path):
    with pytest.raises(InputError, match="'error' cannot be kept"):
        extract(model, [{"t": "a", "error": 1}], tmp_path / "out", text="t", keep=["error"])


def test_a_folder_of_other_things_is_left_alone(model, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StorageError, match=r"holds other files \(thesis.tex\)"):
        extract(model, ["a"], tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_features_are_written_to_any_file_system(model, tmp_path):
    extracted = extract(model, ["A ghost."], "memory://extracts/one")
    close(extracted.to_numpy("mean_6")[0], model.run("A ghost.").feature("mean@-1"))


def test_the_users_model_stays_as_it_was(tiny, tmp_path):
    model = tiny("bert")
    model.run("A ghost.")  # transformers puts in hooks of its own at the first pass
    hooks = [len(module._forward_hooks) for module in model.hf.modules()]
    before = {name: value.clone() for name, value in model.hf.state_dict().items()}
    extract(model, ["A ghost."] * 3, tmp_path / "out", dtype="bfloat16")
    assert model.hf.dtype == next(iter(before.values())).dtype
    assert all((model.hf.state_dict()[name] == value).all() for name, value in before.items())
    assert [len(module._forward_hooks) for module in model.hf.modules()] == hooks
