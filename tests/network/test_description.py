from types import SimpleNamespace

import peft
import pytest
import torch
import transformers

import layerscope as ls
from layerscope.cli.output import show
from layerscope.network import sizes
from layerscope.view import terminal
from tiny import quiet, tokenizer


def test_bert_base_has_109_482_240_parameters_in_199_tensors():
    """The third seed's count, right: its 109,360,128 holds only the matrices. On the meta device, without weights."""
    with quiet(), torch.device("meta"):
        config = transformers.BertConfig()
        bare, whole = transformers.BertModel(config), transformers.BertForPreTraining(config)
    for hf in (bare, whole):
        description = ls.wrap(hf, tokenizer("wordpiece"), "bert-base").describe()
        assert description.body == (199, 109_482_240)
    assert description.num_parameters == sum(p.numel() for p in whole.parameters())
    assert description.tied == (
        ("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"),
    ) or any("decoder" in second for _, second in description.tied)
    assert description.head == "cls"


def test_bert_base_has_199_parameter_tensors():
    with quiet(), torch.device("meta"):
        hf = transformers.BertModel(transformers.BertConfig())
    table = ls.wrap(hf, tokenizer("wordpiece"), "bert-base").describe().parameters()
    assert len(table) == 199
    row = table.loc["encoder.layer.11.attention.self.query.weight"]
    assert (row["shape"], row["parameters"], row["part"], row["component"]) == (
        "768 × 768",
        589_824,
        "body",
        "encoder",
    )


def test_distilgpt2_has_81_912_576_parameters_and_one_embedding_matrix():
    with quiet(), torch.device("meta"):
        hf = transformers.GPT2LMHeadModel(transformers.GPT2Config(n_layer=6))
    description = ls.wrap(hf, tokenizer("bytelevel"), "distilgpt2").describe()
    assert description.num_parameters == 81_912_576
    assert description.tied == (("transformer.wte.weight", "lm_head.weight"),)


def test_the_bundled_model(model):
    description = model.describe()
    assert (description.num_layers, description.num_heads, description.hidden_size) == (6, 12, 384)
    assert (description.vocab_size, description.context_window) == (30522, 512)
    assert description.num_parameters == model.hf.num_parameters() == 22_713_216
    assert description.head is None
    assert list(description.weights.values()) == [
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    ]
    assert "0-5 (6 ×): BertLayer" in description.tree
    assert description.tree.count("BertLayer") == 1
    assert description.table()["parameters"].sum() == description.num_parameters


def test_every_family_counts_each_parameter_once(family, tiny):
    hf = tiny(family).hf
    description = tiny(family).describe()
    assert description.num_parameters == sum(p.numel() for p in hf.parameters())
    assert sum(component.tensors for component in description.components) == len(list(hf.parameters()))
    assert description.family == hf.config.model_type
    assert description.context_window == (None if family == "bloom" else 64)
    assert description.to_dict()["num_parameters"] == description.num_parameters
    table = description.parameters()
    shapes = {name: " × ".join(map(str, one.shape)) for name, one in hf.named_parameters()}
    assert dict(zip(table.index, table["shape"], strict=True)) == shapes
    assert table["parameters"].sum() == description.num_parameters


SIZES = {"hidden_size": 32, "num_hidden_layers": 3}
WITHOUT_HEADS = {
    "Mamba": {**SIZES, "state_size": 8},
    "Mamba2": {**SIZES, "state_size": 8, "num_heads": 8, "head_dim": 8, "expand": 2},
    "FalconMamba": {**SIZES, "state_size": 8},
    "Rwkv": SIZES,
    "xLSTM": {**SIZES, "num_heads": 4},
    "FNet": {**SIZES, "intermediate_size": 64},
}


@pytest.mark.parametrize("family", WITHOUT_HEADS)
def test_a_network_without_attention_has_no_heads(family, capsys):
    """Mamba 2's and xLSTM's own heads are none of attention."""
    words = tokenizer("qwen")
    config = getattr(transformers, f"{family}Config")(vocab_size=len(words), **WITHOUT_HEADS[family])
    with quiet(), torch.device("meta"):
        hf = getattr(transformers, f"{family}Model")(config)
    model = ls.wrap(hf, words, "it")
    assert repr(model).endswith(f", 3 layers, hidden size 32, vocabulary {len(words)})")
    description = model.describe()
    assert description.num_heads is None
    assert description.to_dict()["num_heads"] is None
    show(terminal.description(description))
    assert "3, hidden size 32" in capsys.readouterr().out


def test_heads_said_block_by_block():
    def heads(value):
        config = transformers.PreTrainedConfig()
        config.num_attention_heads = value
        return sizes.num_heads(SimpleNamespace(config=config))

    assert heads(4) == 4
    assert heads([4, 4, 4]) == 4
    assert heads([4, 8, 4]) is None
    config = transformers.PreTrainedConfig()
    config.num_hidden_layers, config.num_attention_heads = 3, 4
    config.per_layer_config = {0: {"num_attention_heads": 8}}
    assert sizes.num_heads(SimpleNamespace(config=config)) is None


def test_sizes_under_other_names():
    """As code on the Hub has them (OpenELM, ChatGLM), or not at all."""
    config = transformers.PreTrainedConfig()
    hf = torch.nn.Module()
    hf.config, hf.blocks = config, torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(5))
    hf.get_input_embeddings = lambda: torch.nn.Embedding(7, 6)
    found = (sizes.num_blocks(hf), sizes.num_heads(hf), sizes.width(hf), sizes.vocabulary(hf))
    assert found == (5, None, 6, 7)
    config.num_transformer_layers, config.num_query_heads, config.model_dim = 2, [3, 3], 8
    assert (sizes.num_blocks(hf), sizes.num_heads(hf), sizes.width(hf)) == (2, 3, 8)


def test_an_encoder_decoder_of_two_parts_has_the_sizes_of_each():
    sides = (
        transformers.BertConfig(**SIZES, num_attention_heads=4),
        transformers.BertConfig(num_hidden_layers=2),
    )
    config = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(*sides)
    hf = SimpleNamespace(config=config)
    assert (sizes.num_blocks(hf), sizes.num_decoder_blocks(hf)) == (3, 2)
    assert (sizes.num_heads(hf), sizes.width(hf)) == (4, 32)
    hf = SimpleNamespace(config=transformers.BartConfig(encoder_layers=3, decoder_layers=1))
    assert (sizes.num_blocks(hf), sizes.num_decoder_blocks(hf)) == (3, 1)


def test_of_two_text_parts_the_one_that_reads_is_meant():
    parts = {
        "text_encoder": transformers.T5Config(num_layers=2).to_dict(),
        "decoder": transformers.MusicgenDecoderConfig(num_hidden_layers=3).to_dict(),
        "audio_encoder": transformers.EncodecConfig().to_dict(),
    }
    config = transformers.MusicgenConfig(**parts)
    assert sizes.text_config(config).model_type == "t5"


def test_the_head_of_a_network_that_has_no_body_of_that_name():
    sizes_ = {**SIZES, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64}
    config = transformers.Llama4Config(text_config={**sizes_, "intermediate_size_mlp": 64})
    with quiet(), torch.device("meta"):
        hf = transformers.Llama4ForConditionalGeneration(config)
    assert ls.wrap(hf, tokenizer("qwen"), "it").describe().head == "language_model.lm_head"


def test_a_network_within_adapters_is_described_by_its_own_parts(tiny_folder):
    with quiet():
        bare = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder("llama"))
        hf = peft.get_peft_model(bare, peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"]))
        description = ls.wrap(hf, transformers.AutoTokenizer.from_pretrained(tiny_folder("llama"))).describe()
    assert description.head == "lm_head"
    assert [(one.name, one.part) for one in description.components][-1] == ("lm_head", "head")
    assert description.num_parameters == sum(p.numel() for p in hf.parameters())
