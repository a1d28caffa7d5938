"""Small random networks that are unlike the twenty families in one way or another, made in code and never saved.

`odd("jamba")` gives the plain network and its tokenizer. Hidden size 32, 3 blocks, 4 heads, 64 positions where there
are positions.
"""

from collections.abc import Callable

import torch
import transformers as tf

from tiny import quiet, randomise, tokenizer

SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
POSITIONS = {"max_position_embeddings": 64}


def odd(name: str) -> tuple[tf.PreTrainedModel, tf.PreTrainedTokenizerBase]:
    """A network and its tokenizer; the same each time."""
    recipe, kind = ODD[name]
    words = tokenizer(kind)
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = recipe(len(words)).eval()
        randomise(model)
    return model, words


def _bert_like(config: str, head: str, **sizes: object) -> Callable[[int], tf.PreTrainedModel]:
    def make(vocabulary: int) -> tf.PreTrainedModel:
        return getattr(tf, head)(
            getattr(tf, config)(**{**SIZES, **POSITIONS, "vocab_size": vocabulary, **sizes})
        )

    return make


def _own(config: str, head: str, **sizes: object) -> Callable[[int], tf.PreTrainedModel]:
    return lambda vocabulary: getattr(tf, head)(getattr(tf, config)(vocab_size=vocabulary, **sizes))


def _sides(**more: object) -> dict[str, object]:
    """The sizes of an encoder-decoder of BART's kind."""
    sizes = {"d_model": 32, "encoder_layers": 3, "decoder_layers": 3, "decoder_start_token_id": 2}
    heads = {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
    return {**sizes, **heads, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "pad_token_id": 0, **more}


def _fsmt(vocabulary: int) -> tf.PreTrainedModel:
    names = {"langs": ["en", "de"], "src_vocab_size": vocabulary, "tgt_vocab_size": vocabulary}
    return tf.FSMTForConditionalGeneration(tf.FSMTConfig(**names, **_sides(**POSITIONS)))


def _bert2bert(vocabulary: int) -> tf.PreTrainedModel:
    sizes = {**SIZES, **POSITIONS, "vocab_size": vocabulary}
    decoder = tf.BertConfig(**sizes, is_decoder=True, add_cross_attention=True)
    both = tf.EncoderDecoderConfig.from_encoder_decoder_configs(tf.BertConfig(**sizes), decoder)
    both.decoder_start_token_id, both.pad_token_id = 2, 0
    return tf.EncoderDecoderModel(both)


def _t5gemma(vocabulary: int) -> tf.PreTrainedModel:
    sizes = {**SIZES, **POSITIONS, "vocab_size": vocabulary, "num_key_value_heads": 2, "head_dim": 8}
    sizes["layer_types"] = ["full_attention"] * 3
    decoder = sizes | {"cross_attention_hidden_size": 32}
    return tf.T5GemmaForConditionalGeneration(
        tf.T5GemmaConfig(encoder=sizes, decoder=decoder, vocab_size=vocabulary)
    )


def _llava(vocabulary: int) -> tf.PreTrainedModel:
    text = tf.LlamaConfig(**SIZES, max_position_embeddings=512, vocab_size=vocabulary, num_key_value_heads=2)
    vision = tf.CLIPVisionConfig(**SIZES, image_size=32, patch_size=4)  # a table of 64 patches and one
    return tf.LlavaForConditionalGeneration(
        tf.LlavaConfig(text_config=text, vision_config=vision, image_token_id=5)
    )


def _paligemma(vocabulary: int) -> tf.PreTrainedModel:
    text = tf.GemmaConfig(
        **SIZES, max_position_embeddings=512, vocab_size=vocabulary, num_key_value_heads=2, head_dim=8
    )
    vision = tf.SiglipVisionConfig(**SIZES, image_size=32, patch_size=4)
    return tf.PaliGemmaForConditionalGeneration(
        tf.PaliGemmaConfig(text_config=text, vision_config=vision, image_token_id=5, projection_dim=32)
    )


def _qwen2_vl(vocabulary: int) -> tf.PreTrainedModel:
    rotation = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    text = {
        **SIZES,
        **POSITIONS,
        "vocab_size": vocabulary,
        "num_key_value_heads": 2,
        "rope_parameters": rotation,
    }
    vision = {"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 4}
    marks = dict(
        zip(
            ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id"),
            range(5, 9),
            strict=True,
        )
    )
    return tf.Qwen2VLForConditionalGeneration(
        tf.Qwen2VLConfig(text_config=text, vision_config=vision, **marks)
    )


def _gemma3n(vocabulary: int) -> tf.PreTrainedModel:
    streams = {
        "altup_num_inputs": 4,
        "laurel_rank": 4,
        "hidden_size_per_layer_input": 8,
        "num_kv_shared_layers": 0,
    }
    layers = {"layer_types": ["full_attention"] * 3, "activation_sparsity_pattern": [0.0] * 3}
    sizes = {**SIZES, **POSITIONS, "intermediate_size": [64] * 3, "num_key_value_heads": 2, "head_dim": 8}
    config = tf.Gemma3nTextConfig(
        **sizes,
        **streams,
        **layers,
        vocab_size=vocabulary,
        vocab_size_per_layer_input=vocabulary,
        pad_token_id=0,
    )
    return tf.Gemma3nForCausalLM(config)


_GROUPS = (
    "q_groups",
    "k_groups",
    "v_groups",
    "post_attention_groups",
    "intermediate_groups",
    "output_groups",
)
_MAMBA = {"hidden_size": 32, "num_hidden_layers": 3, "state_size": 8}
_JAMBA = {
    "num_key_value_heads": 2,
    "num_experts": 2,
    "attn_layer_period": 3,
    "attn_layer_offset": 2,
    "mamba_d_state": 8,
}
_PROPHET = {
    "num_encoder_layers": 3,
    "num_decoder_layers": 3,
    "num_encoder_attention_heads": 4,
    "num_decoder_attention_heads": 4,
}

ODD: dict[str, tuple[Callable[[int], tf.PreTrainedModel], str]] = {
    # What it reports passes through no module.
    "xlnet": (
        _own("XLNetConfig", "XLNetLMHeadModel", d_model=32, n_layer=3, n_head=4, d_inner=64),
        "wordpiece",
    ),
    "fsmt": (_fsmt, "wordpiece"),
    "longformer": (
        _bert_like(
            "LongformerConfig",
            "LongformerForMaskedLM",
            attention_window=8,
            max_position_embeddings=66,
            pad_token_id=1,
        ),
        "wordpiece",
    ),
    "led": (
        _own(
            "LEDConfig",
            "LEDForConditionalGeneration",
            **_sides(
                attention_window=8, max_encoder_position_embeddings=64, max_decoder_position_embeddings=32
            ),
        ),
        "wordpiece",
    ),
    "squeezebert": (
        _bert_like(
            "SqueezeBertConfig", "SqueezeBertForMaskedLM", embedding_size=32, **dict.fromkeys(_GROUPS, 1)
        ),
        "wordpiece",
    ),
    # Several residual streams.
    "gemma3n": (_gemma3n, "llama"),
    # Attention that is not [head, query, key], or none, or not in every block.
    "longt5": (
        _own(
            "LongT5Config",
            "LongT5ForConditionalGeneration",
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=3,
            num_heads=4,
            local_radius=4,
            decoder_start_token_id=0,
        ),
        "wordpiece",
    ),
    "rwkv": (
        _own(
            "RwkvConfig",
            "RwkvForCausalLM",
            hidden_size=32,
            num_hidden_layers=3,
            attention_hidden_size=32,
            intermediate_size=64,
            context_length=64,
        ),
        "qwen",
    ),
    "mamba": (_own("MambaConfig", "MambaForCausalLM", **_MAMBA), "qwen"),
    "jamba": (_own("JambaConfig", "JambaForCausalLM", **SIZES, **_JAMBA, use_mamba_kernels=False), "llama"),
    # Numbers that depend on the texts beside, or on padding.
    "mobilebert": (
        _bert_like(
            "MobileBertConfig",
            "MobileBertForMaskedLM",
            embedding_size=16,
            intra_bottleneck_size=16,
            true_hidden_size=16,
        ),
        "wordpiece",
    ),
    "convbert": (
        _bert_like(
            "ConvBertConfig", "ConvBertForMaskedLM", embedding_size=32, conv_kernel_size=9, head_ratio=2
        ),
        "wordpiece",
    ),
    "nystromformer": (_bert_like("NystromformerConfig", "NystromformerForMaskedLM"), "wordpiece"),
    "yoso": (_bert_like("YosoConfig", "YosoForMaskedLM"), "wordpiece"),
    "prophetnet": (
        _own(
            "ProphetNetConfig",
            "ProphetNetForConditionalGeneration",
            hidden_size=32,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            **POSITIONS,
            **_PROPHET,
            pad_token_id=0,
            decoder_start_token_id=2,
        ),
        "wordpiece",
    ),
    # A mask that is worked out from the ids.
    "xlm": (
        _own(
            "XLMConfig", "XLMWithLMHeadModel", emb_dim=32, n_layers=3, n_heads=4, **POSITIONS, pad_token_id=0
        ),
        "wordpiece",
    ),
    "flaubert": (
        _own(
            "FlaubertConfig",
            "FlaubertWithLMHeadModel",
            emb_dim=32,
            n_layers=3,
            n_heads=4,
            **POSITIONS,
            pad_index=0,
        ),
        "wordpiece",
    ),
    # Tables of positions with rows that belong to none, or that are no modules.
    "mra": (_bert_like("MraConfig", "MraForMaskedLM"), "wordpiece"),
    "ibert": (
        _bert_like("IBertConfig", "IBertForMaskedLM", max_position_embeddings=66, pad_token_id=1),
        "wordpiece",
    ),
    "mpt": (
        _own("MptConfig", "MptForCausalLM", d_model=32, n_heads=4, n_layers=3, max_seq_len=64),
        "wordpiece",
    ),
    # Encoder-decoders of two parts.
    "bert2bert": (_bert2bert, "wordpiece"),
    "t5gemma": (_t5gemma, "llama"),
    # Of images and texts, and the text side of such.
    "llava": (_llava, "qwen"),
    "paligemma": (_paligemma, "qwen"),
    "qwen2_vl": (_qwen2_vl, "qwen"),
    "clip": (_bert_like("CLIPTextConfig", "CLIPTextModel", eos_token_id=3), "wordpiece"),
}
