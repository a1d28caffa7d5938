"""A trace: what one pass computed for one text, as labelled arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerscope import archive
from layerscope.arguments import checked
from layerscope.errors import InputError, ModelError, NotFoundError, brief, unknown
from layerscope.head import Head
from layerscope.reduce.attention import merge, one_head, units
from layerscope.reduce.cosine import cosine_of_pairs
from layerscope.reduce.feature import COMBINES, Feature
from layerscope.reduce.layers import listed, resolve_layer
from layerscope.reduce.pooling import POOLER, UNPOOLED, WHOLE_TEXT, Array, pool
from layerscope.result import Result
from layerscope.shown import counted, last_part, size
from layerscope.text.saved import written
from layerscope.text.tokens import Span, Tokens

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


# Why there is none of a whole text, of windows that each have their own.
OF_WINDOWS = (
    "The text passed in {} overlapping windows, each with its own {}, so there is none of the whole text. "
    "Pool by 'mean', or run with long='cut'."
)

# What a saved trace says that it is.
FORMAT = "layerscope trace"

# For each side of the network: the output, and which tokens are its queries and its keys.
_SIDES = {
    "encoder": ("attentions", "tokens", "tokens"),
    "decoder": ("decoder_attentions", "target", "target"),
    "cross": ("cross_attentions", "target", "tokens"),
}


# What the axes of each output are called.
AXIS_NAMES = {
    "hidden_states": ("layer", "token", "hidden"),
    "attentions": ("layer", "head", "query", "key"),
    "pooler_output": ("hidden",),
    "decoder_hidden_states": ("layer", "target token", "hidden"),
    "decoder_attentions": ("layer", "head", "target query", "target key"),
    "cross_attentions": ("layer", "head", "target query", "key"),
    "queries": ("layer", "head", "token", "width"),
    "keys": ("layer", "head", "token", "width"),
    "values": ("layer", "head", "token", "width"),
}


@dataclass(frozen=True, eq=False, repr=False)
class Trace(Result):
    """What a model computed for one text of T tokens; made by `Model.run`.

    Layers count from 0, the embedding output; layer k is the output of block k, and the last one comes
    after the final norm where the model has one: as `hidden_states[k]` in transformers. All arrays are
    float32. What was not computed raises, and says how to get it.

    Attributes:
        model: the model's name.
        kind: "encoder", "decoder" or "encoder-decoder".
        num_layers: the number of blocks; of an encoder-decoder those of its encoder.
        num_decoder_layers: those of its decoder, 0 for others.
        tokens: the T tokens.
        target: for an encoder-decoder that was given a target, the D tokens that its decoder read.
        layers: the layers that were kept, in order; all of them unless `layers=` chose.
        decoder_layers: those of the decoder.
        heads: those whose outputs it holds, where it was run with logits=True; each with its kind and labels.
        windows: for each window that passed, its first token and one past its last; one for a text that
            fits the context window.
        outputs: the arrays by name.
        attention_layers: for each output of attention (its queries, keys and values too), the layers that it holds, in
            order: the blocks that were kept and have one. In hybrid networks only some have.
        missing: for outputs that are not there, why.
    """

    model: str
    kind: str
    num_layers: int
    num_decoder_layers: int
    tokens: Tokens
    target: Tokens | None
    layers: tuple[int, ...]
    decoder_layers: tuple[int, ...]
    heads: tuple[Head, ...]
    windows: tuple[tuple[int, int], ...]
    outputs: Mapping[str, Array]
    attention_layers: Mapping[str, tuple[int, ...]]
    missing: Mapping[str, str]

    @property
    def hidden_states(self) -> Array:
        """[layer, token, hidden], of the layers that were kept; an encoder-decoder's encoder."""
        return self._output("hidden_states")

    @property
    def attentions(self) -> Array:
        """[layer, head, query, key] after softmax, of the blocks that were kept and have attention.

        `attentions[k-1]` is block k where all were kept and each has attention; `attention_layers` says which are.
        """
        return self._output("attentions")

    @property
    def queries(self) -> Array:
        """[layer, head, token, width] of the blocks that were kept, before any norm or rotation."""
        return self._output("queries")

    @property
    def keys(self) -> Array:
        """[layer, head, token, width] likewise; heads of queries may share one (`anatomy` says which)."""
        return self._output("keys")

    @property
    def values(self) -> Array:
        """[layer, head, token, width] likewise."""
        return self._output("values")

    @property
    def pooler_output(self) -> Array:
        """[hidden], the checkpoint's trained pooling layer."""
        return self._output("pooler_output")

    @property
    def logits(self) -> Array:
        """What the head gives: a language model's [token, vocabulary], a classifier's [label] or [token, label]."""
        return self._output("logits")

    @property
    def start_logits(self) -> Array:
        """[token], of a head that answers questions: where the answer begins."""
        return self._output("start_logits")

    @property
    def end_logits(self) -> Array:
        """[token], of a head that answers questions: where the answer ends."""
        return self._output("end_logits")

    @property
    def next_sentence_logits(self) -> Array:
        """[label], of a head that says whether the second text of a pair follows the first."""
        return self._output("next_sentence_logits")

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the labels that its head tells apart; none where it tells none apart, or was not asked."""
        return next((head.labels for head in self.heads if head.labels), ())

    @property
    def decoder_hidden_states(self) -> Array:
        """[layer, target token, hidden] of an encoder-decoder's decoder."""
        return self._output("decoder_hidden_states")

    @property
    def decoder_attentions(self) -> Array:
        """[layer, head, target query, target key] of an encoder-decoder's decoder."""
        return self._output("decoder_attentions")

    @property
    def cross_attentions(self) -> Array:
        """[layer, head, target query, key]: from what the decoder reads to what the encoder read."""
        return self._output("cross_attentions")

    @checked
    def hidden_state(self, layer: int = -1) -> Array:
        """[token, hidden] of one layer."""
        return np.array(self.hidden_states[_position(layer, *self._side("encoder"))])

    @checked
    def attention(
        self, layer: int = -1, head: int | str = "mean", unit: str = "token", side: str = "encoder"
    ) -> pd.DataFrame:
        """The attention of one block as a labelled table; rows are queries and sum to 1.

        Args:
            layer: the block, from 1; layer 0, the embeddings, has no attention.
            head: a head, from 0, or "mean" or "max" over all heads.
            unit: "token", or "word" for the pieces of a word merged: to it their sum, from it their mean.
            side: of an encoder-decoder the "encoder", the "decoder", or "cross" from one to the other.
        """
        import pandas as pd

        if side not in _SIDES:
            raise unknown("side", side, _SIDES)
        name, of_queries, of_keys = _SIDES[side]
        depth, kept = self._side(side)
        if depth and resolve_layer(layer, depth) == 0:
            raise InputError(
                f"Layer 0 is the embedding output and has no attention; blocks are layers 1 to {depth}."
            )
        heads = self._output(name)[self._attention_place(name, kept[_position(layer, depth, kept)])]
        queries, keys = units(getattr(self, of_queries), unit), units(getattr(self, of_keys), unit)
        if unit != "token":
            heads = merge(heads, queries.shares, keys.shares)
        return pd.DataFrame(
            one_head(heads, head),
            index=pd.Index(queries.labels, name="query"),
            columns=pd.Index(keys.labels, name="key"),
        )

    @checked
    def pool(self, pooling: str = "mean", layer: int = -1) -> Array:
        """[hidden]: the text as one vector, by any pooling strategy, special tokens included as they are."""
        if pooling == POOLER:
            if resolve_layer(layer, self.num_layers) != self.num_layers:
                raise InputError(
                    f"The pooler reads the last layer only, {self.num_layers}; not layer {layer}."
                )
            return self.pooler_output
        if pooling == "cls" and len(self.windows) > 1:
            raise ModelError(OF_WINDOWS.format(len(self.windows), "[CLS]"))
        return pool(pooling, self.hidden_state(layer), self.tokens)

    @checked
    def feature(self, feature: str | Feature) -> Array:
        """A feature of the text: [hidden] where it is one column, else [layer, hidden].

        >>> import layerscope as ls
        >>> ls.load().run("Seeing is believing.").feature("mean@-4:/concat").shape
        (1536,)
        """
        chosen = feature if isinstance(feature, Feature) else Feature.parse(feature)
        if chosen.pooling in UNPOOLED:
            raise InputError(f"{chosen} is no one vector; take hidden_state(layer) or word_vectors(layer).")
        layers = chosen.resolve(self.num_layers)
        vectors = np.stack([self.pool(chosen.pooling, layer) for layer in layers])
        if chosen.combine is not None:
            return COMBINES[chosen.combine](vectors)
        return vectors if len(layers) > 1 else np.asarray(vectors[0])

    @checked
    def vector(
        self,
        what: str | tuple[int, int] | Span,
        layer: int = -1,
        pooling: str = "mean",
        occurrence: int | None = None,
    ) -> Array:
        """[hidden]: a word or phrase in its context, its tokens pooled.

        Args:
            what: what `Tokens.find` takes, or the span that it gave.
            layer: where to read it.
            pooling: how its tokens become one vector.
            occurrence: which one, from 1, if it is there more than once.

        Raises:
            NotFoundError: it is not there, or more than once with no `occurrence`.
        """
        span = what if isinstance(what, Span) else self.tokens.find(what, occurrence)
        return self._pooled(span, layer, pooling)

    @checked
    def word_vectors(self, layer: int = -1, pooling: str = "mean") -> Array:
        """[word, hidden]: each of `tokens.words` in its context.

        Raises:
            NotFoundError: a word has no tokens: it was cut, or the tokenizer drops it.
        """
        spans = self.tokens.word_spans
        vectors = [self._pooled(span, layer, pooling) for span in spans]
        return np.stack(vectors) if vectors else np.empty((0, self.hidden_states.shape[-1]), dtype=np.float32)

    def table(self) -> pd.DataFrame:
        """One row an output: its axes and shape; or, where it is not there, why."""
        import pandas as pd

        names = list(dict.fromkeys([*self.outputs, *self.missing]))
        return pd.DataFrame(
            {
                "axes": [self._axes(name) for name in names],
                "shape": [size(self.outputs[name].shape) if name in self.outputs else "" for name in names],
                "missing": ["" if name in self.outputs else self.missing[name] for name in names],
            },
            index=pd.Index(names, name="output"),
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, the arrays as lists; `save` writes them faster and smaller."""
        return {
            **self._about(),
            "tokens": self.tokens.to_dict(),
            "target": None if self.target is None else self.target.to_dict(),
            "heads": [head.kind for head in self.heads],
            "labels": list(self.labels),
            "outputs": {name: array.tolist() for name, array in self.outputs.items()},
        }

    def _about(self) -> dict[str, Any]:
        """What is said of the arrays, as plain values."""
        return {
            "model": self.model,
            "kind": self.kind,
            "num_layers": self.num_layers,
            "num_decoder_layers": self.num_decoder_layers,
            "layers": list(self.layers),
            "decoder_layers": list(self.decoder_layers),
            "windows": [list(window) for window in self.windows],
            "attention_layers": {name: list(layers) for name, layers in self.attention_layers.items()},
        }

    def save(self, path: str | Path) -> Path:
        """Write it into one safetensors file, which `layerscope.open_trace` reads back without the model or torch.

        Raises:
            InputError: the file cannot be written.
        """
        if not isinstance(path, str | Path) or not str(path):
            raise InputError(f"path is the file to write; not {brief(path)}.")
        about, arrays = self._about(), {f"outputs.{name}": array for name, array in self.outputs.items()}
        for side, tokens in (("tokens", self.tokens), ("target", self.target)):
            about[side] = None
            if tokens is not None:
                about[side], own = written(tokens)
                arrays |= {f"{side}.{name}": array for name, array in own.items()}
        about["heads"] = [asdict(head) for head in self.heads]
        return archive.write(path, FORMAT, about | {"missing": dict(self.missing)}, arrays)

    @checked
    def plot(self, ax: Axes | None = None) -> Axes:
        """How far each token has moved: the cosine of its state in every kept layer with that in the first of them.

        Args:
            ax: where to draw; a new figure if left out.

        Raises:
            InputError: fewer than two layers were kept, or there are more tokens than can be read in one figure.
        """
        import pandas as pd

        from layerscope.plots.heat import heat

        if len(self.layers) < 2 or not len(self.tokens):
            raise InputError("The picture of a trace compares layers: run a text with layers='all'.")
        states = self.hidden_states
        table = pd.DataFrame(
            cosine_of_pairs(states, states[:1]).T,
            index=pd.Index(self.tokens.strings),
            columns=pd.Index([f"layer {layer}" for layer in self.layers]),
        )
        first = "the static embedding" if self.layers[0] == 0 else f"layer {self.layers[0]}"
        title = f"{last_part(self.model)}: each token's state against {first}"
        return heat(table, title, ax, min(0.0, float(np.nanmin(table.to_numpy()))))

    _calls = ".hidden_states, .hidden_state(layer), .pool(), .vector(word), .table(), .plot(), .save(path)"

    def _holds(self) -> str:
        tokens, outputs = counted(len(self.tokens), "token"), ", ".join(self.outputs)
        return f"{last_part(self.model)}, {tokens}, layers {listed(self.layers)}; {outputs}"

    def _axes(self, name: str) -> str:
        """What the axes of an output are."""
        if name in AXIS_NAMES:
            return ", ".join(AXIS_NAMES[name])
        axes = next((head.axes[name] for head in self.heads if name in head.axes), "")
        last = "vocabulary" if any(head.is_language_model for head in self.heads) else "label"
        return ", ".join(["token" if axis == "T" else last for axis in axes])

    def _pooled(self, span: Span, layer: int, pooling: str) -> Array:
        if not len(span):
            why = "the text was cut before it" if self.tokens.num_cut else "the tokenizer drops it"
            raise NotFoundError(f"The word {span.text!r} has no tokens: {why}.")
        if pooling in WHOLE_TEXT:
            raise InputError(
                f"Pooling {pooling!r} stands for a whole text; for a word use 'mean', 'max' or 'last'."
            )
        return pool(pooling, self.hidden_state(layer)[span.slice], self.tokens)

    def _side(self, side: str) -> tuple[int, tuple[int, ...]]:
        """How many blocks a side of the network has, and which of its layers were kept."""
        if side == "encoder":
            return self.num_layers, self.layers
        return self.num_decoder_layers, self.decoder_layers

    def _attention_place(self, name: str, layer: int) -> int:
        """Where the attention of a layer stands in its output."""
        layers = self.attention_layers[name]
        if layer not in layers:
            raise InputError(
                f"Layer {layer} of {self.model} has no attention; of those kept, these have: {listed(layers)}."
            )
        return layers.index(layer)

    def _output(self, name: str) -> Array:
        if name in self.outputs:
            return self.outputs[name]
        raise ModelError(self.missing.get(name, f"{self.model} computes no {name}."))


def _position(layer: int, depth: int, kept: Sequence[int]) -> int:
    """Where a layer stands among those that were kept."""
    number = resolve_layer(layer, depth)
    if number not in kept:
        raise InputError(
            f"Layer {number} was not kept; this trace holds {listed(kept)}. Run with layers=[{number}]."
        )
    return list(kept).index(number)
