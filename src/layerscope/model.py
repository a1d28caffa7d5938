"""A model: a network that is looked into, and the verbs that do it."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from layerscope.arguments import checked
from layerscope.errors import InputError, brief
from layerscope.network.batching import BATCH_TOKENS
from layerscope.network.network import Network
from layerscope.reduce.feature import Feature
from layerscope.reduce.layers import Layers
from layerscope.reduce.pooling import Array
from layerscope.run import run_many
from layerscope.text.encode import OwnWords, Text, list_of_texts, with_words
from layerscope.text.tokens import Tokens
from layerscope.trace import Trace

if TYPE_CHECKING:
    from layerscope.network.description import Description


@dataclass(frozen=True, eq=False)
class Model(Network):
    """A pretrained transformer, and the verbs that look into it; made by `layerscope.load` or `layerscope.wrap`.

    Attributes:
        hf: the plain transformers model, untouched.
        tokenizer: the plain transformers tokenizer, untouched.
        source: where they came from.
        untrained: names of parameters that the checkpoint has no weights for. What rests on them is refused.
        lock: held during a pass, so that threads can share a model; hold it to call `hf` yourself meanwhile.
    """

    def __sklearn_clone__(self) -> Model:
        return self  # as a parameter of an estimator, whose clones share it

    def __repr__(self) -> str:
        heads = "" if self.num_heads is None else f"{self.num_heads} heads, "
        return (
            f"Model({self.name!r}: {self.kind}, {self.num_layers} layers, {heads}"
            f"hidden size {self.hidden_size}, vocabulary {self.vocab_size:,})"
        )

    def tokenize(
        self, text: str | None = None, pair: str | None = None, words: OwnWords | None = None
    ) -> Tokens:
        """The tokens of a text, or of a pair, as the network would read them.

        Args:
            text: may be left out where `words` are strings: they are then joined by spaces.
            pair: a second text.
            words: your own words in place of the Unicode ones, for annotated corpora: strings that stand in
                the text in this order, or `(start, end)` ranges of it.

        >>> import layerscope as ls
        >>> ls.load().tokenize("subword tokenization").strings
        ('[CLS]', 'sub', '##word', 'token', '##ization', '[SEP]')
        """
        return with_words(self.vocabulary, text, pair, words)

    def decode(self, ids: int | Iterable[int]) -> str:
        """The text that ids stand for, special tokens included.

        >>> import layerscope as ls
        >>> ls.load().decode(5745), ls.load().decode([1005, 1012]), ls.load().decode([101, 102])
        ('ghost', "'.", '[CLS] [SEP]')
        """
        try:
            chosen = [operator.index(one) for one in (ids if isinstance(ids, Iterable) else [ids])]
        except TypeError as error:
            raise InputError(f"decode takes ids, whole numbers; not {brief(ids)}.") from error
        outside = [one for one in chosen if not 0 <= one < len(self.tokenizer)]
        if outside:
            raise InputError(
                f"The id {outside[0]} is not in the vocabulary, which has 0 to {len(self.tokenizer) - 1}."
            )
        return str(self.tokenizer.decode(chosen))

    @checked
    def run(
        self,
        text: str | Tokens,
        pair: str | None = None,
        target: str | None = None,
        *,
        layers: Layers = "all",
        attention: bool = False,
        logits: bool = False,
        projections: bool = False,
        long: str = "window",
    ) -> Trace:
        """Run the network on one text, or pair, and bring back what it computed.

        Args:
            text: any string, the empty one included; or its tokens, with words of your own.
            pair: a second text, put in by the tokenizer's template.
            target: what an encoder-decoder's decoder is to read.
            layers: which to keep: "all", a number, numbers, or a range as text ("-4:"); 0 is the embedding
                output. The pass stops behind the deepest.
            attention: also the attention of the blocks among `layers`.
            logits: also what the trained heads give.
            projections: also the queries, keys and values of the blocks among `layers`, as they come out of their
                projections, before any norm or rotation; of blocks like BERT's, GPT-2's and Llama's.
            long: what to do with a text longer than the context window: "window" (overlapping windows, each
                token from the one where it has most context), "cut", or "error".

        Raises:
            InputError: arguments that do not fit the model or the text.
            ModelError: the model does not compute what was asked for.

        >>> import layerscope as ls
        >>> trace = ls.load().run("Seeing is believing.", layers=[0, 6])
        >>> trace.hidden_states.shape
        (2, 6, 384)
        """
        if pair is not None and isinstance(text, Tokens):
            raise InputError("Tokens are run as they are; give the pair to tokenize.")
        return run_many(
            self,
            [text if pair is None or isinstance(text, Tokens) else (text, pair)],
            targets=None if target is None else [target],
            layers=layers,
            attention=attention,
            logits=logits,
            projections=projections,
            long=long,
        )[0]

    @checked
    def run_many(
        self,
        texts: Iterable[Text],
        *,
        targets: Iterable[str] | None = None,
        layers: Layers = "all",
        attention: bool = False,
        logits: bool = False,
        projections: bool = False,
        long: str = "window",
        batch_tokens: int = BATCH_TOKENS,
    ) -> list[Trace]:
        """Run the network on many texts, in batches of like length; the same numbers as one by one, in order.

        Args:
            texts: strings, pairs as tuples of two, or tokens.
            targets: for an encoder-decoder, one for each text.
            layers, attention, logits, projections, long: as for `run`.
            batch_tokens: how many tokens, padding included, pass at once.
        """
        if isinstance(texts, str):
            raise InputError("run_many takes a list of texts; for one text use run.")
        if isinstance(batch_tokens, bool) or not isinstance(batch_tokens, int) or batch_tokens < 1:
            raise InputError(f"batch_tokens is a number of tokens, at least 1; not {batch_tokens!r}.")
        return run_many(
            self,
            list_of_texts(texts),
            targets=targets,
            layers=layers,
            attention=attention,
            logits=logits,
            projections=projections,
            long=long,
            batch_tokens=batch_tokens,
        )

    @overload
    def encode(  # type: ignore[overload-overlap]
        self,
        texts: Iterable[Text],
        feature: str | Feature = ...,
        *,
        dtype: str | None = ...,
        long: str = ...,
        progress: bool | None = ...,
    ) -> Array: ...

    @overload
    def encode(
        self,
        texts: Iterable[Text],
        feature: Sequence[str | Feature],
        *,
        dtype: str | None = ...,
        long: str = ...,
        progress: bool | None = ...,
    ) -> dict[str, Array]: ...

    @checked
    def encode(
        self,
        texts: Iterable[Text],
        feature: str | Feature | Sequence[str | Feature] = "mean@-1",
        *,
        dtype: str | None = None,
        long: str = "window",
        progress: bool | None = None,
    ) -> Array | dict[str, Array]:
        """Texts as vectors, row by row: one pass, pooled where the states pass, in batches of like length.

        Args:
            texts: strings, pairs as tuples of two, or tokens; any number, of any length.
            feature: `POOLING@LAYERS[/COMBINE]`, such as "mean@-1", "cls@all" or "mean@-4:/concat"; or several.
            dtype: the precision of the pass, as the model is loaded if left out: "float32", "bfloat16", "float16", or
                "auto" for bfloat16 where the hardware has it and a check on some of the texts passes.
            long: what to do with a text longer than the context window: "window" (overlapping windows, pooled as a
                whole), "cut" or "error".
            progress: show a bar on stderr; if left out, when that is a terminal or a notebook.

        Returns:
            float32 [text, width], or [text, layer, width] for a feature of several layers; for several features a dict
            of such arrays by the features as they were written.

        Raises:
            InputError: a text that cannot be run; a feature that is not known, or no one vector a text.
            ModelError: the model does not give the feature; or it gives NaN or infinity.

        >>> import layerscope as ls
        >>> model = ls.load()
        >>> model.encode(["Seeing is believing.", "A ghost."]).shape
        (2, 384)
        >>> found = model.encode(["Seeing is believing."], ["cls@all", "mean@-4:/concat"])
        >>> {feature: vectors.shape for feature, vectors in found.items()}
        {'cls@all': (1, 7, 384), 'mean@-4:/concat': (1, 1536)}
        """
        from layerscope.engine.encoding import encode

        if isinstance(texts, str | Tokens):
            raise InputError("encode takes a list of texts; for one text give a list of it.")
        is_one = isinstance(feature, str | Feature)
        asked = [feature] if isinstance(feature, str | Feature) else list(feature)
        parsed = [one if isinstance(one, Feature) else Feature.parse(one) for one in asked]
        given = texts if isinstance(texts, Iterator) else list_of_texts(texts)
        found = encode(self, given, parsed, dtype=dtype, long=long, progress=progress)
        return found[0] if is_one else dict(zip(map(str, asked), found, strict=True))

    def identity(self) -> dict[str, Any]:
        """What makes it the same model again: kind and sizes, and the SHA-256 of the weights and of the tokenizer.

        All its weights are read. A folder of features holds this of the model that made them.

        >>> import layerscope as ls
        >>> ls.load().identity() == ls.load().identity()
        True
        """
        from layerscope.network.identity import identity

        return identity(self)

    def describe(self) -> Description:
        """Modules, parameters by component, tied weights, limits, and where the weights came from."""
        from layerscope.network.description import describe

        return describe(self)
