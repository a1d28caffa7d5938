import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

import layerscope as ls
from layerscope.errors import InputError, ModelError

TEXTS = ["Seeing is believing.", "A ghost.", "Then I tried to find some way of embracing my mother's ghost."]


def expected(model, feature):
    return np.stack([model.run(text).feature(feature) for text in TEXTS])


def test_a_dataset_gets_its_hidden_state_column_in_one_line(model):
    from datasets import Dataset

    made = Dataset.from_dict({"text": TEXTS, "label": [0, 1, 0]}).map(
        ls.FeatureMap(model, ["cls@-1", "mean@0"]), batched=True, batch_size=2
    )
    assert made.column_names == ["text", "label", "cls_6", "mean_0"]
    np.testing.assert_allclose(np.array(made["cls_6"]), expected(model, "cls@-1"), atol=1e-5)


def test_datasets_knows_the_same_map_again_by_its_hash(model):
    from datasets.fingerprint import Hasher

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hashes = {Hasher.hash(ls.FeatureMap(model, feature)) for feature in ("cls@-1", "cls@-1", "cls@2")}
    assert len(hashes) == 2


def test_words_are_lists_of_arrays(model):
    made = ls.FeatureMap(model, "words@3", text="body")({"body": np.array(TEXTS, dtype=object)})
    np.testing.assert_allclose(made["words_3"][1], model.run(TEXTS[1]).word_vectors(3), atol=1e-5)


def test_pairs(model):
    made = ls.FeatureMap(model, "mean@-1", text="a", pair="b")({"a": ["A ghost."], "b": ["Whose?"]})
    np.testing.assert_allclose(
        made["mean_6"][0], model.run("A ghost.", "Whose?").feature("mean@-1"), atol=1e-5
    )


def test_it_is_sent_to_another_process_without_weights(model):
    made = ls.FeatureMap(model, "mean@-1")
    sent = pickle.dumps(made)
    assert len(sent) < 20_000
    again = pickle.loads(sent)({"text": TEXTS})["mean_6"]
    np.testing.assert_array_equal(again, made({"text": TEXTS})["mean_6"])


def test_a_wrapped_model_cannot_be_sent(tiny):
    model = tiny("bert")
    made = ls.FeatureMap(ls.wrap(model.hf, model.tokenizer, "mine"), "mean@-1")
    assert made({"text": TEXTS})["mean_3"].shape[0] == 3
    with pytest.raises(InputError, match="mine was not loaded by Layerscope"):
        pickle.dumps(made)


def test_a_changed_model_is_not_taken_for_the_one_on_disk(tiny_folder):
    model = ls.load(tiny_folder("bert"), device="cpu")
    model.hf.get_input_embeddings().weight.data[0, 0] += 1
    with pytest.raises(InputError, match="is not the model here: parameters_sha256"):
        pickle.loads(pickle.dumps(ls.FeatureMap(model, "mean@-1")))({"text": TEXTS})


@pytest.mark.parametrize(
    ("batch", "sentence"),
    [
        ({"body": TEXTS}, "Unknown column 'text'; known: body"),
        ({"text": ["a", None]}, "Row 1 of the corpus: The text is NoneType None"),
        ({"text": ["a", "a " * 600]}, "Row 1 of the batch: cls_6: The text passed in 2"),
        ([1], "A batch is a mapping of columns, not list"),
    ],
)
def test_what_does_not_fit_is_said(model, batch, sentence):
    with pytest.raises(InputError, match=sentence):
        ls.FeatureMap(model, "cls@-1")(batch)


def test_auto_needs_a_corpus(model):
    with pytest.raises(InputError, match="dtype='auto' is checked on a corpus"):
        ls.FeatureMap(model, dtype="auto")


def test_vectors_that_are_no_numbers_are_refused(tiny_folder):
    model = ls.load(tiny_folder("bert"), device="cpu")
    model.run("a")
    with torch.no_grad():
        model.hf.get_input_embeddings().weight[int(model.tokenize("ghost").ids[1])] = torch.nan
    for feature in ("mean@-1", "words@-1", "max@all/max"):
        with pytest.raises(
            ModelError, match="Row 1 of the batch: .*holds NaN or infinity, which the model gave"
        ):
            ls.FeatureMap(model, feature)({"text": ["the first", "a ghost"]})


def test_a_users_own_column_is_not_overwritten(tiny):
    with pytest.raises(InputError, match="The batch has a column 'mean_3', which is the name of a feature's"):
        ls.FeatureMap(tiny("bert"), "mean@-1")({"text": ["a"], "mean_3": ["mine"]})


def test_an_iterator_in_a_batch_is_not_used_up(tiny):
    made = ls.FeatureMap(tiny("bert"), ["cls@-1"])({"text": iter(["a", "b"]), "id": [1, 2]})
    assert made["text"] == ["a", "b"]
    assert len(made["cls_3"]) == 2


@pytest.mark.slow
def test_a_map_in_several_processes_after_a_pass_in_this_one(tiny_folder):
    """Forked processes: the threads that the pass here started are not there."""
    code = (
        "import sys, torch, layerscope as ls\n"
        "from datasets import Dataset, disable_progress_bars\n"
        "disable_progress_bars()\n"
        "torch.set_num_threads(2)\n"
        "a = torch.ones(600, 600) @ torch.ones(600, 600)\n"
        "made = ls.FeatureMap(ls.load(sys.argv[1], device='cpu'), 'mean@-1')\n"
        "made({'text': ['seeing is believing ' * 20] * 40})\n"
        "texts = Dataset.from_dict({'text': ['a', 'b', 'c', 'd']})\n"
        "print(len(texts.map(made, batched=True, num_proc=2)['mean_3']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tiny_folder("bert")], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "4\n", done.stderr
