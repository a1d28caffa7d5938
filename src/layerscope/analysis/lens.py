"""The logit lens: what each layer would predict at each position (nostalgebraist 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from layerscope.analysis.predictions import Ids, proven, read
from layerscope.arguments import checked
from layerscope.errors import InputError, ModelError, brief
from layerscope.network.batching import Item
from layerscope.network.windows import windows
from layerscope.reduce.finite import check_finite
from layerscope.reduce.pooling import Array
from layerscope.result import Result
from layerscope.shown import counted, last_part
from layerscope.text.tokens import Tokens

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from layerscope.model import Model

# An id or a rank where there is none.
_NONE = -1


@dataclass(frozen=True, eq=False, repr=False)
class Lens(Result):
    """What each of the layers 0 to n would predict at each of T positions: its state through the final norm and head.

    The *answer* is what the model itself finds most probable, at the last layer. The *actual* token is the next
    one of the text for a decoder, the next one of the target for an encoder-decoder, and the one that stands there
    for an encoder. There is none behind the end of a text, nor at a mask: its id and ranks are then -1, its
    probabilities NaN. Ranks count from 1.

    Attributes:
        model: the model's name.
        kind: "encoder", "decoder" or "encoder-decoder".
        tokens: the T tokens; of an encoder-decoder those that its decoder read.
        top_ids: int64 [layer, position, k], the k most probable tokens, the first of them first.
        top_probabilities: float32 [layer, position, k].
        answer_ranks, answer_probabilities: int64 and float32 [layer, position], of the answer.
        actual_ids: int64 [position].
        actual_ranks, actual_probabilities: int64 and float32 [layer, position], of the actual token.
        entropy: float32 [layer, position], of the layer's distribution, in nats.
        divergence: float32 [layer, position], KL(final ‖ layer) in nats: 0 at the last layer.
        difference: the largest difference of the last layer's logits from the model's own, of a plain pass.
    """

    model: str
    kind: str
    tokens: Tokens
    top_ids: Ids
    top_probabilities: Array
    answer_ranks: Ids
    answer_probabilities: Array
    actual_ids: Ids
    actual_ranks: Ids
    actual_probabilities: Array
    entropy: Array
    divergence: Array
    difference: float

    @property
    def answer_ids(self) -> Ids:
        """int64 [position], what the model itself finds most probable."""
        return np.asarray(self.top_ids[-1, :, 0])

    @property
    def settled(self) -> Ids:
        """int64 [position], the layer from which on the most probable token is the answer and stays it."""
        differs = self.top_ids[:, :, 0] != self.answer_ids
        return np.where(differs.any(axis=0), len(differs) - np.argmax(differs[::-1], axis=0), 0)

    @checked
    def table(self, position: int | None = None) -> pd.DataFrame:
        """One row a layer and position, or the layers of one position.

        Columns layer, position, token, top, probability, answer_rank, answer_probability, actual_rank,
        actual_probability, entropy, divergence.
        """
        import pandas as pd

        layers, positions = self.entropy.shape
        rows = pd.DataFrame(
            {
                "layer": np.repeat(np.arange(layers), positions),
                "position": np.tile(np.arange(positions), layers),
                "token": np.tile(np.array(self.tokens.strings, dtype=object), layers),
                "top": self._strings(self.top_ids[:, :, 0]).reshape(-1),
                "probability": self.top_probabilities[:, :, 0].reshape(-1),
                "answer_rank": self.answer_ranks.reshape(-1),
                "answer_probability": self.answer_probabilities.reshape(-1),
                "actual_rank": self.actual_ranks.reshape(-1),
                "actual_probability": self.actual_probabilities.reshape(-1),
                "entropy": self.entropy.reshape(-1),
                "divergence": self.divergence.reshape(-1),
            }
        )
        if position is None:
            return rows
        return rows[rows.position == self._position(position)].reset_index(drop=True)

    def grid(self) -> pd.DataFrame:
        """The most probable token by layer (rows) and position (columns)."""
        import pandas as pd

        layers, positions = self.entropy.shape
        return pd.DataFrame(
            self._strings(self.top_ids[:, :, 0]),
            index=pd.RangeIndex(layers, name="layer"),
            columns=pd.RangeIndex(positions, name="position"),
        )

    @checked
    def candidates(self, position: int) -> pd.DataFrame:
        """The k most probable tokens of each layer at one position: columns layer, rank, token, probability."""
        import pandas as pd

        ids = self.top_ids[:, self._position(position)]
        layers, k = ids.shape
        return pd.DataFrame(
            {
                "layer": np.repeat(np.arange(layers), k),
                "rank": np.tile(np.arange(1, k + 1), layers),
                "token": self._strings(ids).reshape(-1),
                "probability": self.top_probabilities[:, self._position(position)].reshape(-1),
            }
        )

    def answers(self) -> pd.DataFrame:
        """One row a position: token, answer, its probability, the layer from which on it stays, actual, its rank."""
        import pandas as pd

        return pd.DataFrame(
            {
                "token": self.tokens.strings,
                "answer": self._strings(self.answer_ids),
                "probability": self.answer_probabilities[-1],
                "settled": self.settled,
                "actual": self._strings(self.actual_ids),
                "actual_rank": self.actual_ranks[-1],
            }
        ).rename_axis("position")

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values: arrays as lists, by layer and position."""
        arrays = ["top_ids", "top_probabilities", "answer_ranks", "answer_probabilities", "actual_ids"]
        arrays += ["actual_ranks", "actual_probabilities", "entropy", "divergence"]
        return {
            "model": self.model,
            "kind": self.kind,
            "text": self.tokens.text,
            "difference": self.difference,
            "positions": self.answers().reset_index().to_dict("records"),
            "top": self._strings(self.top_ids).tolist(),
            **{name: getattr(self, name).tolist() for name in arrays},
        }

    @checked
    def plot(self, ax: Axes | None = None) -> Axes:
        """The grid, layer 0 at the bottom: the most probable token, the darker the more probable; the answer bold.

        Args:
            ax: where to draw; a new figure if left out.

        Raises:
            InputError: there are more positions than can be read in one figure.
        """
        from layerscope.plots.grid import token_grid

        return token_grid(
            self.grid(),
            self.top_probabilities[:, :, 0],
            self.tokens.strings,
            title=f"{last_part(self.model)}: what each layer would predict",
            xlabel="token that was read",
            meaning="probability",
            ax=ax,
        )

    _calls = ".answers(), .grid(), .candidates(position), .table(), .plot()"

    def _holds(self) -> str:
        layers, positions = self.entropy.shape
        where = counted(positions, "position")
        return f"what layers 0 to {layers - 1} of {last_part(self.model)} would predict at {where}"

    def _strings(self, ids: Ids) -> NDArray[Any]:
        """Ids as people read them; None for none."""
        known, places = np.unique(ids, return_inverse=True)
        kept = [0 if one == _NONE else one for one in known]
        names = np.array(self.tokens.vocabulary.strings(kept), dtype=object)
        names[known == _NONE] = None
        return np.asarray(names[places].reshape(ids.shape))

    def _position(self, position: int) -> int:
        count = len(self.tokens)
        if not -count <= position < count:
            raise InputError(
                f"Position {position} is not there: the text has {counted(count, 'token')}, 0 to {count - 1}."
            )
        return position % count


@checked
def lens(
    model: Model, text: str | Tokens, pair: str | None = None, target: str | None = None, k: int = 10
) -> Lens:
    """What each layer would predict at each position: its state through the final norm and the head.

    The network goes on from the states of every layer as it does from the output of its last block, so that its own
    norm, head, biases and scalings are what runs. The last layer is compared with the model's own logits first. Of the
    logits about one layer's are held at a time; of a text of up to 32 tokens, two layers'.

    Args:
        model: a model with a language-model head.
        text, pair: what it reads; a text may also be the tokens of one. A text that does not fit the context window is
            read in windows.
        target: what the decoder of an encoder-decoder reads; the lens looks at that.
        k: how many tokens to keep for each layer and position.

    Raises:
        InputError: an encoder-decoder without a target, a text without tokens, or k is no such number.
        ModelError: the model has no trained head over its vocabulary, or goes on from the states of its last block
            to other logits than its own; or its states are NaN or infinity.

    >>> import layerscope as ls
    >>> from layerscope.errors import ModelError
    >>> model = ls.load()
    >>> try:
    ...     ls.lens(model, "Seeing is believing.")
    ... except ModelError as error:
    ...     print(error)
    sentence-transformers/all-MiniLM-L6-v2 has no language-model head, so its layers predict no tokens. ...
    """
    _check(model, target, k)
    trace = model.run(text, pair, target)
    if not len(trace.tokens):
        raise InputError("The text has no tokens, so that there is no position to look at.")
    tokens, states = trace.tokens, trace.outputs["hidden_states"]
    if trace.target is not None:
        tokens, states = trace.target, trace.outputs["decoder_hidden_states"]
    check_finite(states, (f"Layer {layer} of {model.name} for this text" for layer in range(len(states))))
    pieces = windows(trace.tokens, model.context_window, causal=model.kind == "decoder")
    items = [Item(0, trace.tokens, piece, trace.target) for piece in pieces]
    actual = _actual(model, tokens)
    with model.lock:
        head, last, difference = proven(model, items, states[-1])
        found = read(head, [*torch.from_numpy(states[:-1]), last], actual, k)
    nothing = actual == _NONE
    found["actual_ranks"][:, nothing] = _NONE
    found["actual_probabilities"][:, nothing] = np.nan
    for layer, position in np.argwhere(~np.isfinite(found["entropy"])):
        raise ModelError(
            f"The head of {model.name} gives no probabilities (NaN) for layer {layer} at position {position}: "
            f"{model.hf.dtype} does not hold their logits (load with dtype='float32')."
        )
    return Lens(model.name, model.kind, tokens, actual_ids=actual, difference=difference, **found)


def _check(model: Model, target: str | None, k: int) -> None:
    """Raise for a model that has nothing to predict with, or nothing to read."""
    if not model.has_head:
        raise ModelError(
            f"{model.name} has no language-model head, so its layers predict no tokens. Load a checkpoint that has "
            "one: a decoder, or a model that fills masks."
        )
    if model.untrained_head:
        raise ModelError(
            f"The head of {model.name} is not in the checkpoint: what its layers predict would be noise."
        )
    if model.is_encoder_decoder and target is None:
        raise InputError(
            f"The lens reads the decoder of {model.name}, which was given nothing to read: give target=."
        )
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= model.vocab_size:
        raise InputError(f"k is how many tokens to keep, 1 to {model.vocab_size:,}; not {brief(k)}.")


def _actual(model: Model, tokens: Tokens) -> Ids:
    """int64 [position], the tokens that are to be predicted, as far as there are any."""
    if not model.predicts_next:
        return np.where(tokens.ids == model.tokenizer.mask_token_id, _NONE, tokens.ids)
    # What a decoder read of a target leaves out its last token, which is to follow all the same.
    whole, places = tokens.ids, np.arange(len(tokens))
    if tokens.uncut is not None and tokens.kept is not None:
        whole, places = tokens.uncut.ids, tokens.kept
    return np.append(whole, _NONE)[places + 1]
