"""The heads of a network, found by its class and its modules."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from layerscope.head import Head

# What transformers calls what a head is for, and its tables of classes with such a head, the more special first.
_TABLES = {
    "text-classification": "SEQUENCE_CLASSIFICATION",
    "token-classification": "TOKEN_CLASSIFICATION",
    "question-answering": "QUESTION_ANSWERING",
    "next-sentence-prediction": "NEXT_SENTENCE_PREDICTION",
    "multiple-choice": "MULTIPLE_CHOICE",
    "text2text-generation": "SEQ_TO_SEQ_CAUSAL_LM",
    "fill-mask": "MASKED_LM",
}

# The outputs of each, with the axes of one text as in `outputs.AXES`.
_AXES = {
    "text-classification": {"logits": "."},
    "token-classification": {"logits": "T."},
    "question-answering": {"start_logits": "T", "end_logits": "T"},
    "next-sentence-prediction": {"next_sentence_logits": "."},
    "multiple-choice": {"logits": "."},
    "text2text-generation": {"logits": "T."},
    "text-generation": {"logits": "T."},
    "fill-mask": {"logits": "T."},
}

# Every output that a head can have.
HEAD_OUTPUTS = tuple(dict.fromkeys(name for axes in _AXES.values() for name in axes))

# The second heads of pretraining, by the modules that they are, and their two labels: does the second text follow the
# first, or is it a random one (BERT); are the two in order, or swapped (ALBERT)?
SENTENCE_HEADS = {
    "seq_relationship": ("follows", "random"),
    "sop_classifier": ("in order", "swapped"),
}


def heads(hf: Any, untrained: Collection[str]) -> tuple[Head, ...]:
    """The heads of a network, by its class and its modules; none of a bare one.

    Args:
        hf: the network.
        untrained: names of parameters that the checkpoint has no weights for.
    """
    inner = hf.get_base_model() if hasattr(hf, "get_base_model") else hf
    kind = _kind(inner)
    of_sentences = next((name for name in SENTENCE_HEADS if _holds(inner, name)), None)
    found = []
    if kind is not None and kind != "next-sentence-prediction":
        own = [name for name in untrained if "pooler" not in name and not _is_of_sentences(name)]
        found.append(Head(kind, _AXES[kind], _labels(inner, kind), bool(own)))
    if of_sentences is not None:
        own = [name for name in untrained if _is_of_sentences(name)]
        second = "next-sentence-prediction"
        found.append(Head(second, _AXES[second], SENTENCE_HEADS[of_sentences], bool(own)))
    return tuple(found)


def _kind(hf: Any) -> str | None:
    """What the head of a network is for; None of one that has none."""
    from transformers.models.auto import modeling_auto as auto

    names = {kind.__name__ for kind in type(hf).__mro__}
    for kind, table in _TABLES.items():
        if any(
            names & set(_names(known)) for known in getattr(auto, f"MODEL_FOR_{table}_MAPPING_NAMES").values()
        ):
            return kind
    if hf.get_output_embeddings() is None:
        return None
    if hf.config.is_encoder_decoder:
        return "text2text-generation"
    return "fill-mask" if any(name.endswith("ForPreTraining") for name in names) else "text-generation"


def _names(known: Any) -> Iterator[str]:
    yield from (known,) if isinstance(known, str) else known


def _labels(hf: Any, kind: str) -> tuple[str, ...]:
    """The names of labels that the configuration has, in order."""
    if kind not in ("text-classification", "token-classification"):
        return ()
    names = hf.config.id2label
    return tuple(str(names[number]) for number in sorted(names))


def _holds(hf: Any, name: str) -> bool:
    return any(module.rpartition(".")[2] == name for module, _ in hf.named_modules())


def _is_of_sentences(name: str) -> bool:
    """Whether a parameter is of a second head of pretraining."""
    return any(head in name for head in SENTENCE_HEADS)
