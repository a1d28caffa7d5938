"""Small random checkpoints of twenty families, made in code and saved as ordinary folders.

`build("bert", folder)` writes config.json, model.safetensors and the tokenizer's files;
the Auto classes load them without a network. Hidden size 32, 3 layers, 4 heads, 64 positions.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
import transformers
from transformers.utils import logging

import tiny_tokenizers
from tiny_tokenizers import POSITIONS, SLOW_TOKENIZERS, tokenizer

__all__ = ["FAMILIES", "POSITIONS", "SLOW_TOKENIZERS", "Family", "build", "tokenizer"]


@dataclass(frozen=True)
class Family:
    """What makes a family: its config and sizes, the Auto class of its language model, its tokenizer.

    `ids` names the config's special tokens by the tokenizer's attributes that hold them.
    """

    config: str
    head: str
    tokenizer: str
    sizes: dict[str, object]
    ids: dict[str, str] = field(default_factory=dict)


def build(family: str, folder: Path, *, head: bool = True, seed: int = 0, **config_overrides: object) -> Path:
    """Saves a tiny checkpoint and its tokenizer into `folder` and returns it.

    With a head it is the family's language model, without one the bare model. The same
    arguments give the same weights; the global random state is left as it was.
    """
    recipe = FAMILIES[family]
    folder.mkdir(parents=True, exist_ok=True)
    auto = getattr(transformers, recipe.head if head else "AutoModel")
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = auto.from_config(config(recipe, config_overrides))
        randomise(model)
        model.save_pretrained(folder)
    tiny_tokenizers.write(recipe.tokenizer, folder)
    return folder


def config(recipe: Family, overrides: dict[str, object]) -> transformers.PreTrainedConfig:
    """The family's config, with the vocabulary and special ids of its tokenizer."""
    words = tokenizer(recipe.tokenizer)
    ids = {name: getattr(words, attribute) for name, attribute in (IDS | recipe.ids).items()}
    make = getattr(transformers, recipe.config)
    return make(**{"vocab_size": len(words), **ids, **recipe.sizes, **overrides})


def randomise(model: torch.nn.Module) -> None:
    """Fills every parameter with numbers large enough to be seen.

    Fresh weights leave attention nearly uniform, biases 0 and norms 1, and a mistake with
    any of these would go unnoticed. Vectors (biases, norms) are moved from where they start.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.25)
            else:
                parameter.add_(torch.randn_like(parameter), alpha=0.2)


@contextmanager
def quiet() -> Iterator[None]:
    """Silences the library's bars and warnings, and restores what was set."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


IDS = {name: name for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
BERT = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": POSITIONS,
}
# RoBERTa counts positions from padding_idx + 1 = 2.
ROBERTA = {**BERT, "max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1}
LLAMA = {**BERT, "num_key_value_heads": 2}
FAMILIES = {
    "bert": Family("BertConfig", "AutoModelForPreTraining", "wordpiece", BERT),
    "roberta": Family("RobertaConfig", "AutoModelForMaskedLM", "roberta", ROBERTA),
    "distilbert": Family(
        "DistilBertConfig",
        "AutoModelForMaskedLM",
        "wordpiece",
        {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": POSITIONS},
    ),
    "electra": Family("ElectraConfig", "AutoModelForMaskedLM", "wordpiece", {**BERT, "embedding_size": 16}),
    "albert": Family("AlbertConfig", "AutoModelForPreTraining", "albert", {**BERT, "embedding_size": 16}),
    "deberta-v2": Family(
        "DebertaV2Config",
        "AutoModelForMaskedLM",
        "deberta-v2",
        {
            **BERT,
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 16,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "position_biased_input": False,
            "type_vocab_size": 0,
        },
    ),
    "mpnet": Family(
        "MPNetConfig", "AutoModelForMaskedLM", "mpnet", {**BERT, "max_position_embeddings": POSITIONS + 2}
    ),
    "modernbert": Family(
        "ModernBertConfig",
        "AutoModelForMaskedLM",
        "modernbert",
        {**BERT, "local_attention": 16, "global_attn_every_n_layers": 2},
        {
            "bos_token_id": "cls_token_id",
            "eos_token_id": "sep_token_id",
            "cls_token_id": "cls_token_id",
            "sep_token_id": "sep_token_id",
        },
    ),
    "xlm-roberta": Family("XLMRobertaConfig", "AutoModelForMaskedLM", "xlm-roberta", ROBERTA),
    "gpt2": Family(
        "GPT2Config",
        "AutoModelForCausalLM",
        "bytelevel",
        {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_inner": 64, "n_positions": POSITIONS},
    ),
    "gpt-neox": Family(
        "GPTNeoXConfig",
        "AutoModelForCausalLM",
        "neox",
        {
            **BERT,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5},
        },
    ),
    "opt": Family(
        "OPTConfig",
        "AutoModelForCausalLM",
        "opt",
        {
            "hidden_size": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "ffn_dim": 64,
            "word_embed_proj_dim": 32,
            "max_position_embeddings": POSITIONS,
        },
    ),
    # BLOOM knows neither a number of positions (ALiBi) nor an intermediate size (4 × hidden).
    "bloom": Family(
        "BloomConfig", "AutoModelForCausalLM", "bloom", {"hidden_size": 32, "n_layer": 3, "n_head": 4}
    ),
    "falcon": Family(
        "FalconConfig",
        "AutoModelForCausalLM",
        "falcon",
        {
            "hidden_size": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "ffn_hidden_size": 64,
            "max_position_embeddings": POSITIONS,
        },
        {"bos_token_id": "eos_token_id"},
    ),
    "llama": Family("LlamaConfig", "AutoModelForCausalLM", "llama", LLAMA),
    "mistral": Family(
        "MistralConfig", "AutoModelForCausalLM", "mistral", {**LLAMA, "head_dim": 8, "sliding_window": 16}
    ),
    # Heads of 16 make 4 × 16 = 64 ≠ 32: in Qwen3 and Gemma 3 heads need not add up to the hidden size.
    "qwen3": Family(
        "Qwen3Config",
        "AutoModelForCausalLM",
        "qwen",
        {**LLAMA, "head_dim": 16},
        {"bos_token_id": "pad_token_id"},
    ),
    "gemma3": Family(
        "Gemma3TextConfig",
        "AutoModelForCausalLM",
        "gemma",
        {
            **LLAMA,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "query_pre_attn_scalar": 16,
            "sliding_window": 16,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
    ),
    "t5": Family(
        "T5Config",
        "AutoModelForSeq2SeqLM",
        "t5",
        {
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 64,
            "num_layers": 3,
            "num_decoder_layers": 3,
            "num_heads": 4,
            "relative_attention_num_buckets": 8,
            "relative_attention_max_distance": 16,
        },
        {"decoder_start_token_id": "pad_token_id"},
    ),
    "bart": Family(
        "BartConfig",
        "AutoModelForSeq2SeqLM",
        "roberta",
        {
            "d_model": 32,
            "encoder_layers": 3,
            "decoder_layers": 3,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 64,
            "decoder_ffn_dim": 64,
            "max_position_embeddings": POSITIONS,
        },
        {"decoder_start_token_id": "eos_token_id", "forced_eos_token_id": "eos_token_id"},
    ),
}
