"""Which network a checkpoint is loaded as: with its language-model head, with a task's head, or bare."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from layerscope.errors import InputError
from layerscope.network.heads import SENTENCE_HEADS

# transformers' names of tasks, and its class that puts the head of each on any family.
TASKS = {
    "fill-mask": "AutoModelForMaskedLM",
    "text-generation": "AutoModelForCausalLM",
    "text2text-generation": "AutoModelForSeq2SeqLM",
    "text-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "next-sentence-prediction": "AutoModelForNextSentencePrediction",
    "multiple-choice": "AutoModelForMultipleChoice",
}

# transformers' tables of families and their classes: with a language-model head, the first that there is being
# meant where a checkpoint does not say what it is (of networks that see or hear, not the head of their text part
# alone), then others. Some are newer than others.
_TABLES = (
    "MASKED_LM",
    "SEQ_TO_SEQ_CAUSAL_LM",
    "IMAGE_TEXT_TO_TEXT",
    "MULTIMODAL_LM",
    "CAUSAL_LM",
    "PRETRAINING",
    "TEXT_ENCODING",
)

# How classes with these heads are named.
_ENDINGS = {
    "text-classification": "ForSequenceClassification",
    "token-classification": "ForTokenClassification",
    "question-answering": "ForQuestionAnswering",
    "next-sentence-prediction": "ForNextSentencePrediction",
    "multiple-choice": "ForMultipleChoice",
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


def architecture(config: Any, task: str | None, tensors: Collection[str], remote: bool = False) -> Any:
    """The transformers class to load, from what the configuration and the names of the weights say was saved.

    A checkpoint that says it is for masked words alone, but also holds the pooler and the second head of its
    pretraining (bert-base is one), is loaded with all of them: nothing that was trained is left out. One that
    does not say what it is, is taken for a language model.

    Args:
        config: the checkpoint's configuration.
        task: a name in `TASKS`, or None.
        tensors: the names of the checkpoint's tensors; none where they are not known (GGUF).
        remote: whether the model's code comes with the checkpoint.

    Raises:
        InputError: transformers has no such head for this family.
    """
    import transformers
    from transformers.models.auto import modeling_auto as auto

    if remote:
        return getattr(transformers, _remote(config.auto_map, task))
    if task is not None:
        network = getattr(transformers, TASKS[task])
        if type(config) not in network._model_mapping:
            raise InputError(
                f"transformers has no head for the task {task!r} on the family {config.model_type!r}."
            )
        return network._model_mapping[type(config)]
    masked, seq2seq, *beside, causal, pretraining, encoding = (
        getattr(auto, f"MODEL_FOR_{table}_MAPPING_NAMES", {}).get(config.model_type) for table in _TABLES
    )
    with_head = [name for name in (masked, seq2seq, *beside, causal) if name is not None]
    saved = next(iter(config.architectures or []), None)
    if saved is None or not hasattr(transformers, saved):
        saved = next(iter(with_head), None)
    if saved == masked and pretraining in _WITH_POOLER and _holds_pretraining(tensors):
        saved = pretraining
    if saved is None:
        return transformers.AutoModel
    network = getattr(transformers, saved)
    known = saved in (*_WITH_POOLER, *with_head, encoding)
    is_in_no_table = type(config) not in transformers.AutoModel._model_mapping
    return network if known or is_in_no_table or _gives_logits(network, config) else transformers.AutoModel


def left_out(config: Any, network: Any) -> str | None:
    """The task of the head that a checkpoint was saved with, where the class that it is loaded as has none."""
    saved = next(iter(config.architectures or []), "")
    chosen = network_class(network, config)
    if chosen.__name__ == saved:
        return None
    return next((task for task, ending in _ENDINGS.items() if saved.endswith(ending)), None)


def network_class(network: Any, config: Any) -> Any:
    """The class that an Auto class will make of this configuration, or the class that is given itself."""
    mapping = getattr(network, "_model_mapping", {})
    chosen = mapping.get(type(config), network)
    return chosen[0] if isinstance(chosen, tuple) else chosen


def renamed(network: Any, config: Any) -> dict[str, str]:
    """What the body's parameters are called in a network with a task's head, where it calls them otherwise.

    (transformers' heads for answering put "transformer." where Llama and its kin have "model.", and then
    would find none of their weights.)
    """
    import transformers

    bare = network_class(transformers.AutoModel, config)
    here, there = network.base_model_prefix, getattr(bare, "base_model_prefix", None)
    return {rf"^{there}\.": f"{here}."} if there and here and here != there else {}


def _gives_logits(network: Any, config: Any) -> bool:
    """Whether a class that is in no table has a language-model head beside others (GPT-2's with two heads)."""
    import torch

    try:
        with torch.device("meta"):
            return network(config).get_output_embeddings() is not None
    except Exception:  # whatever is the matter with it is said when it is loaded
        return False


def _remote(auto_map: dict[str, Any], task: str | None) -> str:
    """The Auto class that finds the checkpoint's own code."""
    if task is not None:
        return TASKS[task]
    with_head = ("AutoModelForCausalLM", "AutoModelForMaskedLM", "AutoModelForSeq2SeqLM")
    return next((name for name in with_head if name in auto_map), "AutoModel")


def _holds_pretraining(tensors: Collection[str]) -> bool:
    """Whether the weights hold a pooler and the head that pretraining put on it."""
    return any("pooler." in name for name in tensors) and any(
        head in name for name in tensors for head in SENTENCE_HEADS
    )
