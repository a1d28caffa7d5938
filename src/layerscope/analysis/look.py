"""A first look at a text: its tokens, what its words attend to, how long its vectors grow, what comes next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from layerscope.analysis.attention import draw_partners, partners
from layerscope.arguments import check_count, checked
from layerscope.errors import InputError, ModelError
from layerscope.head import LANGUAGE_MODELS
from layerscope.reduce.finite import check_finite
from layerscope.reduce.layers import Layers, resolve_layers
from layerscope.reduce.pooling import Array
from layerscope.result import Result
from layerscope.shown import counted, last_part
from layerscope.text.tokens import Tokens
from layerscope.trace import Trace

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from layerscope.model import Model

# Heads whose predictions can be seen in one text.
_SHOWN = LANGUAGE_MODELS | {"text-classification", "token-classification"}


@dataclass(frozen=True)
class Prediction:
    """What a head expects at one position, or of the text: the best tokens or labels, and their probabilities.

    Attributes:
        position: of the token; None for the whole text.
        token: the token as people read it.
        candidates: the best tokens, or labels, and their probabilities.
    """

    position: int | None
    token: str
    candidates: tuple[tuple[str, float], ...]


@dataclass(frozen=True, eq=False, repr=False)
class Look(Result):
    """What there is to see first in one text.

    Attributes:
        model: the model's name.
        tokens: its tokens.
        attention: for each layer that was chosen, from each word the word that it attends to most (over the
            heads the strongest; special tokens, and a decoder's first token, left out): columns as of `partners`;
            empty where the model has no attention, which `note` then says.
        lengths: float32 [layer, token], the length (Euclidean norm) of every vector; layer 0 first.
        predictions: for a decoder what follows the text, for a masked-language model what stands at each mask; for a
            classifier the labels of the text, or of its tokens.
        note: what else one should know, None if nothing.
    """

    model: str
    tokens: Tokens
    attention: Mapping[int, pd.DataFrame]
    lengths: Array
    predictions: tuple[Prediction, ...]
    note: str | None

    _calls = ".tokens, .attention, .lengths, .predictions, .table(), .plot()"

    def table(self) -> pd.DataFrame:
        """One row a token: string, word, and the length of its vector in every layer."""
        import pandas as pd

        about = self.tokens.table()[["string", "word"]]
        names = [f"layer {layer}" for layer in range(len(self.lengths))]
        return about.join(pd.DataFrame(self.lengths.T, index=about.index, columns=pd.Index(names)))

    @checked
    def plot(self, ax: Axes | None = None) -> Axes:
        """What each word attends to most in the layers that were chosen; see `Partners.plot`."""
        import pandas as pd

        tables = [table.assign(layer=layer) for layer, table in sorted(self.attention.items())]
        if not tables:
            raise InputError(f"{self.model} has no attention to draw.")
        return draw_partners(
            pd.concat(tables, ignore_index=True),
            f"{last_part(self.model)}: what each word attends to most",
            ax,
        )

    def _holds(self) -> str:
        return f"a first look at {counted(len(self.tokens), 'token')} through {last_part(self.model)}"

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
        ModelError: `layers` were named, and the model's attention cannot be read; or it gives NaN or infinity.

    >>> import layerscope as ls
    >>> seen = ls.look(ls.load(), "Seeing is believing.")
    >>> seen.tokens.strings, seen.lengths.shape
    (('[CLS]', 'seeing', 'is', 'believing', '.', '[SEP]'), (7, 6))
    """
    check_count("k", k)
    chosen = None if layers is None else resolve_layers(layers, model.num_layers)
    if chosen is not None and max(chosen, default=0) == 0:
        raise InputError(
            f"Layer 0 is the embedding output and has no attention; blocks are layers 1 to {model.num_layers}."
        )
    has_logits = bool(model.trained_heads) and not (model.is_encoder_decoder and model.has_head)
    has_logits = has_logits and model.heads[0].kind in _SHOWN
    lacking = _without_attention(model)
    if lacking is not None and layers is not None:
        raise lacking
    trace = model.run(
        text, pair, attention=lacking is None, logits=has_logits, long="error" if lacking else "window"
    )
    check_finite(
        trace.hidden_states, (f"Layer {layer} of {model.name} for this text" for layer in trace.layers)
    )
    return Look(
        model=model.name,
        tokens=trace.tokens,
        attention={} if lacking else _attention(trace, chosen),
        lengths=np.linalg.norm(trace.hidden_states, axis=2),
        predictions=_predictions(model, trace, k) if has_logits else (),
        note=_note(model, trace, has_logits, lacking),
    )


def _without_attention(model: Model) -> ModelError | None:
    """Why there is no attention to show; None where there is."""
    try:
        sites = model.sites(attention=True)
    except ModelError as error:
        return error
    if sites.layers("attentions"):
        return None
    return ModelError(f"The attention of {model.name} cannot be read: {sites.missing['attentions']}")


def _attention(trace: Trace, layers: Sequence[int] | None) -> dict[int, pd.DataFrame]:
    """What each word attends to most, in these layers; None for the first, middle and last that have attention."""
    table = partners(trace).table()
    having = trace.attention_layers["attentions"]
    if layers is None:
        layers = sorted({having[0], having[(len(having) - 1) // 2], having[-1]})
    return {
        layer: table[table["layer"] == layer].drop(columns="layer").reset_index(drop=True)
        for layer in layers
        if layer in having
    }


def top_tokens(model: Model, logits: Array, k: int) -> tuple[tuple[str, float], ...]:
    """The k most probable tokens of logits [vocabulary], by softmax."""
    shifted = np.exp(logits - logits.max())
    best = np.argsort(-logits, kind="stable")[:k]
    probabilities = shifted[best] / shifted.sum()
    strings = model.vocabulary.strings(best)
    return tuple((string, float(p)) for string, p in zip(strings, probabilities, strict=True))


def _predictions(model: Model, trace: Trace, k: int) -> tuple[Prediction, ...]:
    tokens = trace.tokens
    if trace.labels and "logits" in trace.outputs and not model.has_head:
        return tuple(_labelled(trace, k))
    positions: Sequence[int] = [len(tokens) - 1] if model.kind == "decoder" and len(tokens) else ()
    if model.kind == "encoder":
        positions = np.flatnonzero(tokens.ids == model.tokenizer.mask_token_id).tolist()
    return tuple(Prediction(i, tokens.strings[i], top_tokens(model, trace.logits[i], k)) for i in positions)


def _labelled(trace: Trace, k: int) -> Iterator[Prediction]:
    """The most probable labels: of the whole text, or of each of its tokens that is no special one."""
    rows = np.atleast_2d(trace.logits)
    places = [None] if trace.logits.ndim == 1 else np.flatnonzero(~trace.tokens.special_mask).tolist()
    for place in places:
        p = softmax(rows[place or 0])
        best = np.argsort(-p, kind="stable")[:k]
        token = "the text" if place is None else trace.tokens.strings[place]
        yield Prediction(place, token, tuple((trace.labels[one], float(p[one])) for one in best))


def _note(model: Model, trace: Trace, has_logits: bool, lacking: ModelError | None) -> str | None:
    notes = [str(lacking)] if lacking else []
    if model.untrained_head:
        notes.append("The head has no weights in the checkpoint, so its predictions are not shown.")
    mask = model.tokenizer.mask_token
    is_masked = bool((trace.tokens.ids == model.tokenizer.mask_token_id).any())
    others = [head.kind for head in model.heads if head.kind not in _SHOWN and not model.has_head]
    if others:
        notes.append(f"What its head for {others[0]} gives is not shown here: run with logits=True.")
    if has_logits and model.has_head and model.kind == "encoder" and not is_masked:
        notes.append(f"Put {mask} in the text to see what the model expects there.")
    return " ".join(notes) or None
