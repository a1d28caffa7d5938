"""A head as data: what it is for, what it gives, along which axes, and the names of its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Those that give logits over the vocabulary.
LANGUAGE_MODELS = frozenset({"fill-mask", "text-generation", "text2text-generation"})


@dataclass(frozen=True)
class Head:
    """One head of a network.

    Attributes:
        kind: what it is for, as transformers names it: "fill-mask", "text-generation", "text2text-generation",
            "text-classification", "token-classification", "question-answering", "next-sentence-prediction" or
            "multiple-choice".
        axes: its outputs and their axes: T a token, "." any other.
        labels: the names of what the last axis counts; none where that is the vocabulary, or there is no such axis.
        is_untrained: whether the checkpoint lacks weights for it, so that what it gives would be noise.
    """

    kind: str
    axes: Mapping[str, str]
    labels: tuple[str, ...] = ()
    is_untrained: bool = False

    @property
    def is_language_model(self) -> bool:
        """Whether it gives logits over the vocabulary."""
        return self.kind in LANGUAGE_MODELS
