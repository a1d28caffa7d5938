"""A model: a plain transformers network and its tokenizer, and the verbs that look into them."""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from layerscope.arguments import checked
from layerscope.errors import InputError, ModelError, brief
from layerscope.network import sizes
from layerscope.network.batching import BATCH_TOKENS
from layerscope.network.capture import evaluation
from layerscope.network.inputs import forward_names
from layerscope.network.limits import Limits, limits
from layerscope.network.sites import Sites, attention_sites, hidden_sites
from layerscope.network.traits import Traits, traits
from layerscope.reduce.layers import Layers
from layerscope.run import run_many
from layerscope.source import Source
from layerscope.text.encode import OwnWords, Text, list_of_texts, with_words
from layerscope.text.tokens import Tokens
from layerscope.text.vocabulary import Vocabulary
from layerscope.trace import Trace

if TYPE_CHECKING:
    from layerscope.network.description import Description


@dataclass(eq=False)
class Found:
    """What was found out about a network by running it: once, and so known to every copy that shares its weights."""

    sites: dict[bool, Sites] = field(default_factory=dict)
    traits: Traits | None = None
    limits: Limits | None = None


@dataclass(frozen=True, eq=False)
class Model:
    """A pretrained transformer; made by `layerscope.load` or `layerscope.wrap`.

    Attributes:
        hf: the plain transformers model, untouched.
        tokenizer: the plain transformers tokenizer, untouched.
        source: where they came from.
        untrained: names of parameters that the checkpoint has no weights for. What rests on them is refused.
        lock: held during a pass, so that threads can share a model; hold it to call `hf` yourself meanwhile.
    """

    hf: Any
    tokenizer: Any
    source: Source
    untrained: frozenset[str] = frozenset()
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _found: Found = field(default_factory=Found, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """All but the lock and what was found out: so that a model can be copied."""
        return {name: getattr(self, name) for name in ("hf", "tokenizer", "source", "untrained")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, lock=threading.RLock(), _found=Found())

    def __sklearn_clone__(self) -> Model:
        return self  # as a parameter of an estimator, whose clones share it

    def __repr__(self) -> str:
        heads = "" if self.num_heads is None else f"{self.num_heads} heads, "
        return (
            f"Model({self.name!r}: {self.kind}, {self.num_layers} layers, {heads}"
            f"hidden size {self.hidden_size}, vocabulary {self.vocab_size:,})"
        )

    @property
    def name(self) -> str:
        """The name that it was asked for by."""
        return self.source.name

    @property
    def kind(self) -> str:
        """ "encoder", "decoder" (causal), or "encoder-decoder"; found by trying, see `Traits`."""
        if self.is_encoder_decoder:
            return "encoder-decoder"
        return "decoder" if self.traits.is_causal else "encoder"

    @property
    def predicts_next(self) -> bool:
        """Whether its head predicts the next token, rather than the one that stands there.

        A causal network can do nothing else; one of images and texts that reads its prompt in both directions
        (PaliGemma) still goes on from it.
        """
        from transformers.models.auto import modeling_auto as auto

        is_of_images = self.hf.config.model_type in auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
        return self.kind != "encoder" or is_of_images

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether it reads a text and, beside it, a target."""
        return bool(self.hf.config.is_encoder_decoder) and "decoder_input_ids" in self.forward_names

    @property
    def traits(self) -> Traits:
        """How the network behaves, tried once."""
        with self.lock:
            if self._found.traits is None:
                self._found.traits = traits(self)
            return self._found.traits

    @property
    def config(self) -> Any:
        """The configuration of the text part, of an encoder-decoder its encoder's."""
        return sizes.side_config(self.hf.config, "encoder")

    @property
    def decoder_config(self) -> Any:
        """The configuration of an encoder-decoder's decoder."""
        return sizes.side_config(self.hf.config, "decoder")

    @property
    def num_layers(self) -> int:
        """The number of blocks; of an encoder-decoder those of its encoder."""
        return sizes.num_blocks(self.hf)

    @property
    def num_decoder_layers(self) -> int:
        """The number of blocks of an encoder-decoder's decoder, which may be more or fewer; 0 for others."""
        return sizes.num_decoder_blocks(self.hf) if self.is_encoder_decoder else 0

    @property
    def num_heads(self) -> int | None:
        """Attention heads (queries) in each block; None where there are none, or not as many in every block."""
        return sizes.num_heads(self.hf)

    @property
    def hidden_size(self) -> int:
        """The width of the hidden states."""
        return sizes.width(self.hf)

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding matrix that the configuration speaks of; without any, the tokenizer's vocabulary."""
        return sizes.vocabulary(self.hf) or len(self.tokenizer)

    @property
    def context_window(self) -> int | None:
        """The most tokens that it reads at once, special ones included; None where there is no limit.

        The smaller of what the tokenizer and the network allow; see `Limits`.
        """
        return self._limits.window

    @property
    def target_window(self) -> int | None:
        """The most tokens that an encoder-decoder's decoder reads, likewise."""
        return self._limits.target_window

    @property
    def _limits(self) -> Limits:
        with self.lock:
            if self._found.limits is None:
                self._found.limits = limits(self)
            return self._found.limits

    @property
    def num_rows(self) -> int | None:
        """Rows of the embedding matrix: an id beyond them cannot be run. None where ids are no rows of a matrix."""
        return sizes.num_rows(self.hf)

    @property
    def num_decoder_rows(self) -> int | None:
        """Those of an encoder-decoder's decoder."""
        return sizes.num_rows(self.hf.get_decoder()) if self.is_encoder_decoder else None

    @property
    def device(self) -> Any:
        """Where inputs must be for the network to read them."""
        return sizes.input_device(self.hf)

    @property
    def has_head(self) -> bool:
        """Whether there is a head that gives logits over the vocabulary."""
        return self.hf.get_output_embeddings() is not None

    @property
    def untrained_head(self) -> bool:
        """Whether the checkpoint lacks weights for the head, so that its logits would be noise."""
        return any("pooler" not in name for name in self.untrained)

    @property
    def untrained_pooler(self) -> bool:
        """Whether the checkpoint lacks weights for the pooler, so that its output would be noise."""
        return any("pooler" in name for name in self.untrained)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What the tokenizer's ids spell."""
        return Vocabulary(self.tokenizer)

    @cached_property
    def forward_names(self) -> frozenset[str]:
        """The names of the inputs that the network is given."""
        return forward_names(self.hf, self.tokenizer)

    @property
    def padding_id(self) -> int:
        """What fills a batch; masked out, so that any id with a row will do where the padding token has none."""
        known = (self.tokenizer.pad_token_id, getattr(self.config, "pad_token_id", None))
        rows = min((rows for rows in (self.num_rows, self.num_decoder_rows) if rows), default=None)
        fitting = (one for one in known if isinstance(one, int) and one >= 0 and (rows is None or one < rows))
        return next(fitting, 0)

    @property
    def decoder_start_id(self) -> int:
        """The token that an encoder-decoder's decoder starts from."""
        start = getattr(self.hf.config, "decoder_start_token_id", None)
        if start is None:
            start = getattr(getattr(self.hf, "generation_config", None), "decoder_start_token_id", None)
        if start is None and hasattr(self.hf, "prepare_decoder_input_ids_from_labels"):
            labels = torch.full((1, 1), self.padding_id, device=self.device)
            start = self.hf.prepare_decoder_input_ids_from_labels(labels)[0, 0]
        if start is None:
            raise ModelError(
                f"{self.name} does not say which token its decoder starts from (decoder_start_token_id)."
            )
        return int(start)

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
            logits: also the language-model head's logits.
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
        long: str = "window",
        batch_tokens: int = BATCH_TOKENS,
    ) -> list[Trace]:
        """Run the network on many texts, in batches of like length; the same numbers as one by one, in order.

        Args:
            texts: strings, pairs as tuples of two, or tokens.
            targets: for an encoder-decoder, one for each text.
            layers, attention, logits, long: as for `run`.
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
            long=long,
            batch_tokens=batch_tokens,
        )

    def describe(self) -> Description:
        """Modules, parameters by component, tied weights, limits, and where the weights came from."""
        from layerscope.network.description import describe

        return describe(self)

    def sites(self, attention: bool = False) -> Sites:
        """Where in this network its outputs come into being; found once, by one pass over a short text."""
        with self.lock:
            if attention not in self._found.sites:
                with evaluation(self.hf):
                    found = attention_sites(self) if attention else hidden_sites(self)
                if not found.certain:
                    return found
                self._found.sites[attention] = found
            return self._found.sites[attention]
