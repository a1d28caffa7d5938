"""Which network a checkpoint is loaded as: with its language-model head, with a task's head, or bare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Our names for task heads, and the transformers class that puts each on any family.
TASKS = {
    "classify": "AutoModelForSequenceClassification",
    "tag": "AutoModelForTokenClassification",
    "answer": "AutoModelForQuestionAnswering",
    "next_sentence": "AutoModelForNextSentencePrediction",
}

# Pretraining classes with a masked-language head beside the pooler and its own head. (Others of this name,
# like ELECTRA's, hold a discriminator, which gives no logits over the vocabulary.)
_WITH_POOLER = frozenset(
    {
        "AlbertForPreTraining",
        "BertForPreTraining",
        "BigBirdForPreTraining",
        "FNetForPreTraining",
        "MegatronBertForPreTraining",
        "MobileBertForPreTraining",
    }
)


def architecture(config: Any, task: str | None, weights: Sequence[Path]) -> Any:
    """The transformers class to load, from what the configuration says was saved.

    A checkpoint that says it is for masked words alone, but also holds the pooler and the second head of its
    pretraining (bert-base is one), is loaded with all of them: nothing that was trained is left out.
    """
    import transformers
    from transformers.models.auto import modeling_auto as auto

    if task is not None:
        return getattr(transformers, TASKS[task])
    remote = getattr(config, "auto_map", None) or {}
    saved = (getattr(config, "architectures", None) or [None])[0]
    if weights and weights[0].suffix.lower() == ".gguf":
        return transformers.AutoModelForCausalLM
    if saved is not None and not hasattr(transformers, saved):
        name = "AutoModelForCausalLM" if "AutoModelForCausalLM" in remote else "AutoModel"
        return getattr(transformers, name)
    masked = auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES.get(config.model_type)
    pretraining = auto.MODEL_FOR_PRETRAINING_MAPPING_NAMES.get(config.model_type)
    if saved == masked and pretraining in _WITH_POOLER and _holds_pretraining(weights):
        return getattr(transformers, str(pretraining))
    with_head = {
        masked,
        auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.model_type),
        auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES.get(config.model_type),
    }
    is_head = saved in _WITH_POOLER or saved in with_head
    return getattr(transformers, saved) if saved is not None and is_head else transformers.AutoModel


def _holds_pretraining(weights: Sequence[Path]) -> bool:
    """Whether the weights hold a pooler and the head that pretraining put on it."""
    names = [name for path in weights if path.suffix == ".safetensors" for name in tensor_names(path)]
    return any("pooler." in name for name in names) and any(
        "seq_relationship" in name or "sop_classifier" in name for name in names
    )


def tensor_names(path: Path) -> list[str]:
    """The names of the tensors in a safetensors file; only its header is read."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return list(file.keys())
