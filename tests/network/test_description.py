import torch
import transformers

import layerscope as ls
from tiny import quiet, tokenizer


def test_bert_base_has_109_482_240_parameters_in_199_tensors():
    """The third seed's count, right: its 109,360,128 holds only the matrices. On the meta device, without weights."""
    with quiet(), torch.device("meta"):
        config = transformers.BertConfig()
        bare, whole = transformers.BertModel(config), transformers.BertForPreTraining(config)
    for hf in (bare, whole):
        description = ls.wrap(hf, tokenizer("wordpiece"), "bert-base").describe()
        assert description.body == (199, 109_482_240)
    assert description.parameters == sum(p.numel() for p in whole.parameters())
    assert description.tied == (
        ("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"),
    ) or any("decoder" in second for _, second in description.tied)
    assert description.head == "cls"


def test_distilgpt2_has_81_912_576_parameters_and_one_embedding_matrix():
    with quiet(), torch.device("meta"):
        hf = transformers.GPT2LMHeadModel(transformers.GPT2Config(n_layer=6))
    description = ls.wrap(hf, tokenizer("bytelevel"), "distilgpt2").describe()
    assert description.parameters == 81_912_576
    assert description.tied == (("transformer.wte.weight", "lm_head.weight"),)


def test_the_bundled_model(model):
    description = model.describe()
    assert (description.num_layers, description.num_heads, description.hidden_size) == (6, 12, 384)
    assert (description.vocab_size, description.context_window) == (30522, 512)
    assert description.parameters == model.hf.num_parameters() == 22_713_216
    assert description.head is None
    assert list(description.weights.values()) == [
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    ]
    assert "0-5 (6 ×): BertLayer" in description.tree
    assert description.tree.count("BertLayer") == 1
    assert description.table()["parameters"].sum() == description.parameters


def test_every_family_counts_each_parameter_once(family, tiny):
    hf = tiny(family).hf
    description = tiny(family).describe()
    assert description.parameters == sum(p.numel() for p in hf.parameters())
    assert sum(component.tensors for component in description.components) == len(list(hf.parameters()))
    assert description.family == hf.config.model_type
    assert description.context_window == (None if family == "bloom" else 64)
    assert description.to_dict()["parameters"] == description.parameters
