"""A first look at a text: its tokens, what its words attend to, how long its vectors grow, what comes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from layerscope.analysis.attention import partners
from layerscope.arguments import check_count, checked
from layerscope.errors import InputError
from layerscope.reduce.finite import check_finite
from layerscope.reduce.layers import Layers, resolve_layers
from layerscope.reduce.pooling import Array
from layerscope.text.tokens import Tokens
from layerscope.trace import Trace

if TYPE_CHECKING:
    import pandas as pd

    from layerscope.model import Model


@dataclass(frozen=True)
class Prediction:
    """What a language-model head expects at one position: the best tokens and their probabilities."""

    position: int
    token: str
    candidates: tuple[tuple[str, float], ...]


@dataclass(frozen=True, eq=False)
class Look:
    """What there is to see first in one text.

    Attributes:
        model: the model's name.
        tokens: its tokens.
        attention: for each layer that was chosen, from each word the word that it attends to most (over the
            heads the strongest; special tokens, and a decoder's first token, left out): columns as of `partners`.
        lengths: float32 [layer, token], the length (Euclidean norm) of every vector; layer 0 first.
        predictions: for a decoder what follows the text, for a masked-language model what stands at each mask.
        note: what else one should know, None if nothing.
    """

    model: str
    tokens: Tokens
    attention: Mapping[int, pd.DataFrame]
    lengths: Array
    predictions: tuple[Prediction, ...]
    note: str | None

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "model": self.model,
            "text": self.tokens.text,
            "tokens": self.tokens.table().to_dict("records"),
            "attention": {str(layer): table.to_dict("records") for layer, table in self.attention.items()},
            "lengths": self.lengths.tolist(),
            "predictions": [
                {
                    "position": one.position,
                    "token": one.token,
                    "candidates": [{"token": token, "probability": p} for token, p in one.candidates],
                }
                for one in self.predictions
            ],
            "note": self.note,
        }


@checked
def look(model: Model, text: str, pair: str | None = None, layers: Layers | None = None, k: int = 5) -> Look:
    """Look at a text: one pass, everything that a person would want to see first.

    Args:
        model: any model.
        text, pair: what to look at; it must fit the context window, since attention is shown.
        layers: whose attention to show; None for the first, the middle and the last block.
        k: how many tokens to show for each prediction.

    Raises:
        InputError: the text does not fit the context window, or a layer does not exist.
        ModelError: the model gives NaN or infinity.
    """
    check_count("k", k)
    count = model.num_layers
    chosen = resolve_layers(layers if layers is not None else {1, (count + 1) // 2, count}, count)
    if layers is not None and max(chosen, default=0) == 0:
        raise InputError(
            f"Layer 0 is the embedding output and has no attention; blocks are layers 1 to {count}."
        )
    has_logits = model.has_head and not model.untrained_head and model.kind != "encoder-decoder"
    trace = model.run(text, pair, attention=True, logits=has_logits)
    check_finite(
        trace.hidden_states, (f"Layer {layer} of {model.name} for this text" for layer in trace.layers)
    )
    table = partners(trace).table()
    attention = {
        layer: table[table["layer"] == layer].drop(columns="layer").reset_index(drop=True)
        for layer in chosen
        if layer > 0
    }
    return Look(
        model=model.name,
        tokens=trace.tokens,
        attention=attention,
        lengths=np.linalg.norm(trace.hidden_states, axis=2),
        predictions=_predictions(model, trace, k) if has_logits else (),
        note=_note(model, trace, has_logits),
    )


def top_tokens(model: Model, logits: Array, k: int) -> tuple[tuple[str, float], ...]:
    """The k most probable tokens of logits [vocabulary], by softmax."""
    shifted = np.exp(logits - logits.max())
    best = np.argsort(-logits, kind="stable")[:k]
    probabilities = shifted[best] / shifted.sum()
    strings = model.vocabulary.strings(best)
    return tuple((string, float(p)) for string, p in zip(strings, probabilities, strict=True))


def _predictions(model: Model, trace: Trace, k: int) -> tuple[Prediction, ...]:
    tokens = trace.tokens
    positions: Sequence[int] = [len(tokens) - 1] if model.kind == "decoder" and len(tokens) else ()
    if model.kind == "encoder":
        positions = np.flatnonzero(tokens.ids == model.tokenizer.mask_token_id).tolist()
    return tuple(Prediction(i, tokens.strings[i], top_tokens(model, trace.logits[i], k)) for i in positions)


def _note(model: Model, trace: Trace, has_logits: bool) -> str | None:
    if model.untrained_head:
        return "The head has no weights in the checkpoint, so its predictions are not shown."
    if not has_logits:
        return None
    mask = model.tokenizer.mask_token
    if model.kind == "encoder" and not (trace.tokens.ids == model.tokenizer.mask_token_id).any():
        return f"Put {mask} in the text to see what the model expects there."
    return None
