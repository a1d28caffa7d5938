"""Which network a checkpoint becomes, and what is said of weights that do not fit it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from transformers import AutoModelForSequenceClassification

import tiny
from layerscope.errors import CheckpointError, InputError, LeftOutHeadWarning, NewHeadWarning
from layerscope.loading.checkpoint import load
from tampering import copied, edit_json, edit_tensors, pickled, without


@pytest.fixture
def llama(tiny_folder: Callable[[str], Path]) -> Path:
    return tiny_folder("llama")


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_checkpoint_with_a_language_model_head_is_loaded_with_it(family: str, tmp_path: Path) -> None:
    model = load(tiny.build(family, tmp_path))
    assert model.has_head
    assert not model.untrained
    assert not any(parameter.is_meta for parameter in model.hf.parameters())


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_one_without_is_loaded_bare(family: str, tmp_path: Path) -> None:
    model = load(tiny.build(family, tmp_path, head=False))
    assert not model.has_head
    assert not model.untrained
    assert model.hf.base_model is model.hf


@pytest.mark.parametrize("family", ["bert", "albert"])
def test_what_says_it_is_for_masked_words_but_holds_all_of_its_pretraining(
    family: str, tmp_path: Path
) -> None:
    whole = load(tiny.build(family, tmp_path))
    masked = type(whole.hf).__name__.replace("ForPreTraining", "ForMaskedLM")
    edit_json(tmp_path / "config.json", architectures=[masked])
    again = load(tmp_path)
    assert type(again.hf) is type(whole.hf)
    assert not again.untrained


def old_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As the first BERT checkpoints have them; what is tied is stored once."""
    kept = {name: it for name, it in tensors.items() if "predictions.decoder" not in name}
    renamed = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    for new, old in renamed.items():
        kept = {name.replace(new, old): it for name, it in kept.items()}
    return kept | {"bert.embeddings.position_ids": torch.arange(64)[None]}


@pytest.mark.parametrize("stored", ["safetensors", "pickle"])
def test_a_checkpoint_like_bert_base_uncased(stored: str, bert: Path, folder: Path) -> None:
    edit_json(folder / "config.json", architectures=["BertForMaskedLM"])
    edit_tensors(folder, old_names)
    if stored == "pickle":
        pickled(folder)
    model, plain = load(folder, allow_pickle=stored == "pickle"), load(bert)
    assert type(model.hf).__name__ == "BertForPreTraining"
    assert not model.untrained
    for name, parameter in plain.hf.named_parameters():
        assert torch.equal(parameter, model.hf.get_parameter(name))


@pytest.mark.parametrize(
    ("network", "config", "sizes"),
    [
        ("GPT2DoubleHeadsModel", "GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4}),
        ("ErnieForPreTraining", "ErnieConfig", tiny.BERT),
        ("VisualBertForPreTraining", "VisualBertConfig", {**tiny.BERT, "visual_embedding_dim": 8}),
    ],
)
def test_a_language_model_head_beside_another_is_loaded_too(
    network: str, config: str, sizes: dict[str, object], folder: Path
) -> None:
    vocabulary = len(tiny.tokenizer("wordpiece"))
    with tiny.quiet():
        hf = getattr(transformers, network)(getattr(transformers, config)(vocab_size=vocabulary, **sizes))
        hf.save_pretrained(folder)
    model = load(folder)
    assert type(model.hf).__name__ == network
    assert not model.untrained
    assert model.run("the old man", logits=True).logits.shape[-1] == vocabulary


def test_a_pooler_that_the_weights_lack_is_untrained_and_no_noise(folder: Path) -> None:
    edit_tensors(folder, without("pooler"))
    model = load(folder)
    assert model.has_head
    assert model.untrained == {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}


def test_a_pooler_that_a_bare_network_lacks_is_untrained(tmp_path: Path) -> None:
    edit_tensors(tiny.build("bert", tmp_path, head=False), without("pooler"))
    assert load(tmp_path).untrained == {"pooler.dense.weight", "pooler.dense.bias"}


def test_a_second_head_that_the_weights_lack_is_untrained_and_no_noise(folder: Path) -> None:
    edit_tensors(folder, without("seq_relationship"))
    model = load(folder)
    assert model.has_head
    assert model.untrained == {"cls.seq_relationship.weight", "cls.seq_relationship.bias"}


def test_a_head_that_only_the_configuration_speaks_of_is_not_loaded(folder: Path) -> None:
    edit_tensors(folder, without("cls."))
    model = load(folder)
    assert type(model.hf).__name__ == "BertModel"
    assert not model.has_head
    assert not model.untrained


def test_the_head_of_a_decoder_that_only_the_configuration_speaks_of_is_not_loaded(
    llama: Path, tmp_path: Path
) -> None:
    edit_tensors(copied(llama, tmp_path / "llama"), without("lm_head"))
    assert type(load(tmp_path / "llama").hf).__name__ == "LlamaModel"


def test_a_head_with_a_hole_is_refused(folder: Path) -> None:
    edit_tensors(folder, without("transform.dense.weight"))
    with pytest.raises(CheckpointError, match=r"cls\.predictions\.transform\.dense\.weight is missing\.$"):
        load(folder)


@pytest.mark.parametrize("saved", [None, [], ["NobodyKnowsThis"]])
def test_a_configuration_that_does_not_say_what_was_saved(saved: list[str] | None, folder: Path) -> None:
    edit_json(folder / "config.json", architectures=saved)
    assert load(folder).has_head
    edit_tensors(folder, without("cls."))
    assert not load(folder).has_head


def test_the_encoder_of_an_encoder_decoder_alone(tmp_path: Path) -> None:
    tiny.build("t5", tmp_path)
    edit_json(tmp_path / "config.json", architectures=["T5EncoderModel"])
    edit_tensors(tmp_path, without("decoder.", "lm_head"))
    assert type(load(tmp_path).hf).__name__ == "T5EncoderModel"


# --- Weights that do not fit -------------------------------------------------------------------------


def test_a_hole_in_the_body_is_refused(folder: Path) -> None:
    edit_tensors(folder, without("layer.1.output.dense.weight"))
    with pytest.raises(
        CheckpointError, match=r"fit its configuration: bert\.encoder\.layer\.1\.output\S+ is missing\.$"
    ):
        load(folder)


def test_weights_of_something_else_are_refused(folder: Path) -> None:
    edit_tensors(folder, lambda tensors: {"other": torch.zeros(2)})
    with pytest.raises(CheckpointError, match=r"is missing \(and \d+ more like it\)\.$"):
        load(folder)


@pytest.mark.parametrize(
    ("family", "values", "says"),
    [
        ("bert", {"hidden_size": 64}, "LayerNorm.bias is 32, and should be 64"),
        ("bert", {"vocab_size": 9999}, "word_embeddings.weight is 403×32, and should be 9999×32"),
        ("bert", {"num_hidden_layers": 5}, "bert.encoder.layer.3.attention.output.LayerNorm.bias is missing"),
        ("bert", {"num_hidden_layers": 2}, "they hold more layers than it says, with bert.encoder.layer.2."),
        ("bert", {"num_attention_heads": 5}, "could not be loaded: The hidden size"),
        (
            "bert",
            {"hidden_size": "big"},
            "a configuration that cannot be used: Validation error for field 'hidden_size'",
        ),
        ("llama", {"hidden_size": 64}, "lm_head.weight is 519×32, and should be 519×64"),
        ("llama", {"num_hidden_layers": 5}, "model.layers.3.input_layernorm.weight is missing"),
        ("llama", {"num_hidden_layers": 2}, "they hold more layers than it says, with model.layers.2."),
    ],
)
def test_a_configuration_of_another_size(
    family: str, values: dict[str, object], says: str, bert: Path, llama: Path, tmp_path: Path
) -> None:
    folder = copied({"bert": bert, "llama": llama}[family], tmp_path / family)
    edit_json(folder / "config.json", **values)
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", ["bert", "gpt2", "t5", "bart", "distilbert", "opt", "gemma3", "gpt-neox"])
@pytest.mark.parametrize("head", [True, False])
def test_layers_too_many_are_seen_in_every_family(family: str, head: bool, tmp_path: Path) -> None:
    tiny.build(family, tmp_path, head=head)
    depth = {"gpt2": "n_layer", "t5": "num_layers", "bart": "encoder_layers", "distilbert": "n_layers"}
    edit_json(tmp_path / "config.json", **{depth.get(family, "num_hidden_layers"): 2, "layer_types": None})
    with pytest.raises(CheckpointError, match="they hold more layers than it says"):
        load(tmp_path)


def test_fewer_layers_on_purpose(bert: Path) -> None:
    assert load(bert, num_hidden_layers=2).num_layers == 2


# --- Heads for tasks ---------------------------------------------------------------------------------


TASK_HEADS = {
    "text-classification": ["bert", "llama", "gpt2", "t5", "bart", "distilbert"],
    "token-classification": ["bert", "llama", "gpt2", "t5", "distilbert"],  # transformers has none for BART
    "question-answering": ["bert", "llama", "gpt2", "t5", "bart", "distilbert"],
}


@pytest.mark.parametrize(
    ("task", "family"), [(task, it) for task, those in TASK_HEADS.items() for it in those]
)
def test_a_new_head_is_said_once(family: str, task: str, tmp_path: Path) -> None:
    tiny.build(family, tmp_path)
    with pytest.warns(NewHeadWarning) as said:
        model = load(tmp_path, task=task)
    assert len(said) == 1
    assert said[0].filename == __file__
    assert f"no weights for the head of the task {task!r} (" in str(said[0].message)
    assert model.untrained
    assert all(name.split(".")[0] in str(said[0].message) for name in model.untrained)
    assert not model.hf.training
    bare = load(tmp_path).hf.base_model
    body = model.hf.base_model
    assert torch.equal(bare.get_input_embeddings().weight, body.get_input_embeddings().weight)


def test_a_trained_head_is_no_news_and_said_to_be_left_out_when_not_asked_for(
    bert: Path, tmp_path: Path
) -> None:
    with tiny.quiet():
        AutoModelForSequenceClassification.from_pretrained(bert, num_labels=3).save_pretrained(tmp_path)
    for path in bert.glob("tokenizer*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    model = load(tmp_path, task="text-classification")
    assert model.hf.config.num_labels == 3
    assert not model.untrained
    left_out = (
        r"was saved with a head for text-classification, which was left out: load it with task='text-cl"
    )
    with pytest.warns(LeftOutHeadWarning, match=left_out) as said:
        assert type(load(tmp_path).hf).__name__ == "BertModel"
    assert [one.filename for one in said] == [__file__]
    with pytest.raises(
        CheckpointError, match=r"classifier\.\S+ is 3\S*, and should be 5.*ignore_mismatched_sizes=True\.$"
    ):
        load(tmp_path, task="text-classification", num_labels=5)
    with pytest.warns(NewHeadWarning, match=r"\(classifier\)"):
        again = load(tmp_path, task="text-classification", num_labels=5, ignore_mismatched_sizes=True)
    assert again.hf.config.num_labels == 5
    assert again.untrained == {"classifier.weight", "classifier.bias"}


def test_a_new_pooler_under_a_new_head_is_said_too(folder: Path) -> None:
    edit_tensors(folder, without("pooler", "seq_relationship"))
    with pytest.warns(NewHeadWarning, match=r"\(bert\.pooler, classifier\)"):
        load(folder, task="text-classification")
    with pytest.warns(NewHeadWarning, match=r"\(bert\.pooler, cls\)"):
        load(folder, task="next-sentence-prediction")


def test_sizes_of_the_body_cannot_be_ignored(folder: Path) -> None:
    edit_json(folder / "config.json", hidden_size=64)
    with pytest.raises(CheckpointError, match="is missing"):
        load(folder, ignore_mismatched_sizes=True)


def test_next_sentence_is_trained_where_pretraining_did_it(bert: Path) -> None:
    assert not load(bert, task="next-sentence-prediction").untrained


def test_a_task_that_the_family_has_no_head_for(llama: Path) -> None:
    with pytest.raises(
        InputError, match=r"no head for the task 'next-sentence-prediction' on the family 'llama'\.$"
    ):
        load(llama, task="next-sentence-prediction")
