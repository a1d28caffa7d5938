"""Networks that read no text, or none by itself, and those that take images or sound if there are any."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers

import tiny
import tiny_tokenizers
from layerscope.errors import ModelError
from layerscope.loading.checkpoint import load, wrap
from tampering import edit_json, edit_tensors, without

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
VOCABULARY = len(tiny_tokenizers.tokenizer("wordpiece"))
VISION = {**SIZES, "image_size": 32, "patch_size": 4}
TEXT = {**SIZES, "vocab_size": VOCABULARY, "max_position_embeddings": 64}
SPEECH = {
    "d_model": 32,
    **{
        f"{side}_{name}": size
        for side in ("encoder", "decoder")
        for name, size in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 64))
    },
    "vocab_size": VOCABULARY,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "decoder_start_token_id": 2,
}
WAV2VEC = {
    **SIZES,
    "conv_dim": (32, 32),
    "conv_kernel": (10, 3),
    "conv_stride": (5, 2),
    "num_conv_pos_embeddings": 16,
}
ONLY_ITS_DECODER = (
    "Only its decoder reads text: load the network with transformers, and give wrap() its get_decoder()."
)
ITS_TEXT_PART = "Its part text_model ({}) does: load the network with transformers, and give wrap() that."

REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "images": ("ViT", VISION, "{0} reads no text: ViTModel takes pixel_values."),
    "detection": ("Yolos", {**VISION, "image_size": [32, 32]}, "{0} reads no text: YolosModel takes pixel_values."),
    "sound": ("Wav2Vec2", WAV2VEC, "{0} reads no text: Wav2Vec2Model takes input_values."),
    "speech": ("Whisper", SPEECH, "{0} reads no text: WhisperModel takes input_features. " + ONLY_ITS_DECODER),
    "time": ("PatchTST", {"d_model": 32, "num_hidden_layers": 2}, "PatchTSTModel takes past_values."),
    "actions": ("DecisionTransformer", {"hidden_size": 32, "n_layer": 2, "n_head": 4}, "takes states."),
    "colours": (
        "ImageGPT",
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": VOCABULARY},
        "{0} reads no text: ImageGPTModel takes input_ids that stand for image.",
    ),
    "images beside text": (
        "CLIP",
        {"text_config": TEXT, "vision_config": VISION},
        "{0} does not read a text by itself: CLIPModel takes pixel_values with it. "
        + ITS_TEXT_PART.format("CLIPTextModel"),
    ),
    "images beside sentencepieces": (
        "Siglip",
        {"text_config": TEXT, "vision_config": VISION},
        "SiglipModel takes pixel_values with it. " + ITS_TEXT_PART.format("SiglipTextModel"),
    ),
    "images within text": (
        "Vilt",
        {**VISION, "vocab_size": VOCABULARY, "patch_size": 16},
        "ViltModel takes pixel_values with it (it says: You have to specify either pixel_values or image_embeds).",
    ),
    "boxes": ("Bros", {**TEXT, "dim_bbox_sinusoid_emb_2d": 8, "dim_bbox_projection": 8}, "takes bbox with it"),
}  # fmt: skip


def saved(hf: Any, folder: Path) -> Path:
    """A checkpoint of it, with a tokenizer of word pieces."""
    with tiny.quiet():
        tiny.randomise(hf)
        hf.save_pretrained(folder)
    tiny_tokenizers.write("wordpiece", folder)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", "pad_token": "[PAD]"})
    )
    return folder


def made(family: str, sizes: dict[str, Any], head: str = "Model") -> Any:
    with tiny.quiet():
        return getattr(transformers, f"{family}{head}")(
            getattr(transformers, f"{family}Config")(**sizes)
        ).eval()


@pytest.mark.parametrize("what", REFUSED)
def test_what_reads_no_text_is_refused_as_it_is_loaded_and_as_it_is_wrapped(
    what: str, tmp_path: Path
) -> None:
    family, sizes, says = REFUSED[what]
    hf = made(family, sizes)
    tokenizer = tiny_tokenizers.tokenizer("wordpiece")
    with pytest.raises(ModelError) as caught:
        load(saved(hf, tmp_path))
    assert says.format(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError) as caught:
        wrap(hf, tokenizer, "mine")
    assert says.format("mine") in str(caught.value)


def test_adapters_and_compilation_change_nothing_of_that() -> None:
    vit, words = made("ViT", VISION), tiny_tokenizers.tokenizer("wordpiece")
    with tiny.quiet():
        compiled = torch.compile(vit)
        adapted = peft.get_peft_model(vit, peft.LoraConfig(target_modules=["q_proj", "query"]))
    for hf in (adapted, compiled):
        with pytest.raises(ModelError, match="reads no text: ViTModel takes pixel_values"):
            wrap(hf, words, "mine")


def test_before_its_weights_are_read_and_its_tokenizer_is_missed(tmp_path: Path) -> None:
    made("Whisper", SPEECH, "ForConditionalGeneration").save_pretrained(tmp_path)
    edit_tensors(tmp_path, lambda tensors: {"other": torch.zeros(2)})
    with pytest.raises(ModelError, match=r"Whisper\w+ takes input_features"):
        load(tmp_path)


def test_the_text_part_that_is_named_reads_text() -> None:
    clip = made("CLIP", {"text_config": TEXT, "vision_config": VISION})
    assert wrap(clip.text_model, tiny_tokenizers.tokenizer("wordpiece")).num_layers == 2


def test_a_text_encoder_whose_family_is_known_as_a_whole_only(tmp_path: Path) -> None:
    hf = made("SiglipText", TEXT)
    assert type(load(saved(hf, tmp_path)).hf).__name__ == "SiglipTextModel"


def test_the_decoder_of_a_network_of_speech_reads_text(tmp_path: Path) -> None:
    model = load(saved(made("Whisper", SPEECH, "ForCausalLM"), tmp_path))
    assert model.has_head
    assert model.run("the old man").hidden_states.shape[0] == 3


@pytest.mark.parametrize("family", ["Whisper", "Moonshine"])
def test_the_decoder_that_is_named_reads_text(family: str) -> None:
    sizes = (
        SPEECH
        if family == "Whisper"
        else {**TEXT, "encoder_num_hidden_layers": 2, "decoder_num_hidden_layers": 2}
    )
    decoder = made(family, sizes, "ForConditionalGeneration").get_decoder()
    assert wrap(decoder, tiny_tokenizers.tokenizer("wordpiece")).hidden_size == 32


# --- Networks that see or hear if they are given something to -----------------------------------------

ROPE = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
QWEN_VISION = {"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 4}
KEYS = {"num_key_value_heads": 2}
SEEING: dict[str, tuple[str, dict[str, Any]]] = {
    "Llava": (
        "ForConditionalGeneration",
        {
            "text_config": transformers.LlamaConfig(**TEXT, **KEYS),
            "vision_config": transformers.CLIPVisionConfig(**VISION),
            "image_token_id": 5,
        },
    ),
    "Qwen2VL": (
        "ForConditionalGeneration",
        {
            "text_config": {**TEXT, **KEYS, "rope_parameters": ROPE},
            "vision_config": QWEN_VISION,
            "image_token_id": 5,
            "video_token_id": 6,
            "vision_start_token_id": 7,
            "vision_end_token_id": 8,
        },
    ),
    "PaliGemma": (
        "ForConditionalGeneration",
        {
            "text_config": transformers.GemmaConfig(**TEXT, **KEYS, head_dim=8),
            "vision_config": transformers.SiglipVisionConfig(**VISION),
            "projection_dim": 32,
            "image_token_index": 5,
        },
    ),
    "Idefics3": (
        "ForConditionalGeneration",
        {
            "text_config": transformers.LlamaConfig(**TEXT, **KEYS, pad_token_id=0),
            "vision_config": VISION,
            "image_token_id": 5,
            "scale_factor": 2,
        },
    ),
    "Qwen2Audio": (
        "ForConditionalGeneration",
        {
            "text_config": transformers.Qwen2Config(**TEXT, **KEYS),
            "audio_config": {"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 64},
            "audio_token_index": 5,
        },
    ),
    "Git": ("ForCausalLM", {**TEXT, "vision_config": VISION}),
}  # fmt: skip


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folders: dict[str, Path] = {}

    def folder(family: str) -> Path:
        if family not in folders:
            head, sizes = SEEING[family]
            folders[family] = saved(made(family, sizes, head), tmp_path_factory.mktemp(family))
        return folders[family]

    return folder


@pytest.mark.parametrize("family", SEEING)
def test_a_network_that_sees_or_hears_is_loaded_with_its_head(
    family: str, seeing: Callable[[str], Path]
) -> None:
    model = load(seeing(family), device="cpu")
    assert type(model.hf).__name__ == family + SEEING[family][0]
    assert model.has_head
    assert not model.untrained
    ids = torch.tensor([model.tokenize("the old man").ids.tolist()])
    with torch.no_grad():
        plain = model.hf(input_ids=ids, use_cache=False).logits[0]
    logits = torch.tensor(model.run("the old man", logits=True).logits)
    assert torch.allclose(logits, plain, atol=1e-4)
    assert f"{model.num_layers} layers, 4 heads, hidden size 32, vocabulary {VOCABULARY}" in repr(model)


def test_one_whose_text_and_images_meet_in_blocks_of_their_own_has_its_head(tmp_path: Path) -> None:
    text = {**TEXT, **KEYS, "cross_attention_layers": [1], "pad_token_id": 0}
    vision = {**VISION, "num_global_layers": 1, "attention_heads": 4, "intermediate_layers_indices": [0]}
    sizes = {"text_config": text, "vision_config": {**vision, "vision_output_dim": 64}}
    model = load(saved(made("Mllama", sizes, "ForConditionalGeneration"), tmp_path))
    assert type(model.hf).__name__ == "MllamaForConditionalGeneration"
    assert model.has_head
    assert not model.untrained


def test_its_head_is_found_though_the_configuration_names_no_class(
    seeing: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copytree(seeing("Llava"), tmp_path / "llava")
    edit_json(tmp_path / "llava" / "config.json", architectures=None)
    assert type(load(tmp_path / "llava").hf).__name__ == "LlavaForConditionalGeneration"


def test_one_whose_weights_lack_the_head_is_loaded_bare(
    seeing: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copytree(seeing("Llava"), tmp_path / "llava")
    edit_tensors(tmp_path / "llava", without("lm_head"))
    model = load(tmp_path / "llava")
    assert type(model.hf).__name__ == "LlavaModel"
    assert not model.has_head


def test_a_network_whose_family_is_in_a_table_of_heads_is_loaded_with_one() -> None:
    from transformers.models.auto import modeling_auto as auto

    from layerscope.loading.heads import architecture

    tables = auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES, auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES
    for family, name in (entry for table in tables for entry in table.items()):
        if not hasattr(transformers, name):
            continue
        for said in ([name], None):
            config = transformers.PreTrainedConfig(architectures=said)
            config.model_type = family
            assert architecture(config, None, ()).__name__ in (
                name,
                auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES.get(family),
            )
