"""A model: a plain transformers network and its tokenizer, and the verbs that look into them."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from layerscope.batching import BATCH_TOKENS, Item
from layerscope.capture import evaluation, recording_attention
from layerscope.encode import OwnWords, Text, encode, encode_target, with_words
from layerscope.errors import InputError, ModelError
from layerscope.layers import Layers
from layerscope.run import network_inputs, run_many
from layerscope.sites import Sites, find_attentions, find_hidden_states
from layerscope.tokens import Tokens
from layerscope.trace import Trace
from layerscope.vocabulary import Vocabulary
from layerscope.windows import windows

if TYPE_CHECKING:
    from pathlib import Path

    from layerscope.describe import Description

# Tokenizers that know no limit report this or more.
_NO_LIMIT = 10**9

_SHORT_TEXT = "Seeing is believing."


@dataclass(frozen=True)
class Source:
    """Where a model came from: the name it was asked for by, and what was found there."""

    name: str
    folder: Path | None = None
    revision: str | None = None
    weights: tuple[Path, ...] = ()


@dataclass(frozen=True, eq=False)
class Model:
    """A pretrained transformer; made by `layerscope.load` or `layerscope.wrap`.

    Attributes:
        hf: the plain transformers model, untouched.
        tokenizer: the plain transformers tokenizer, untouched.
        source: where they came from.
        untrained: names of parameters that the checkpoint has no weights for. What rests on them is refused.
        lock: held during a pass, so that threads can share a model.
    """

    hf: Any
    tokenizer: Any
    source: Source
    untrained: frozenset[str] = frozenset()
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _sites: dict[bool, Sites] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        return (
            f"Model({self.name!r}: {self.kind}, {self.num_layers} layers, {self.num_heads} heads, "
            f"hidden size {self.hidden_size}, vocabulary {self.vocab_size:,})"
        )

    @property
    def name(self) -> str:
        """The name that it was asked for by."""
        return self.source.name

    @cached_property
    def kind(self) -> str:
        """ "encoder", "decoder" (causal), or "encoder-decoder"."""
        from transformers.models.auto import modeling_auto as auto

        if self.config.is_encoder_decoder:
            return "encoder-decoder"
        family = self.config.model_type
        is_masked = family in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(self.config, "is_decoder", False)
        is_causal = family in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        return "decoder" if is_causal and not is_masked else "encoder"

    @property
    def config(self) -> Any:
        """The configuration of the text part."""
        return self.hf.config.get_text_config()

    @property
    def num_layers(self) -> int:
        """The number of blocks; of an encoder-decoder those of its encoder."""
        return int(self.config.num_hidden_layers)

    @property
    def num_heads(self) -> int:
        """Attention heads (queries) in each block."""
        return int(self.config.num_attention_heads)

    @property
    def hidden_size(self) -> int:
        """The width of the hidden states."""
        return int(self.config.hidden_size)

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding matrix that the configuration speaks of."""
        return int(self.config.vocab_size)

    @cached_property
    def context_window(self) -> int | None:
        """The most tokens that it reads at once, special ones included; None where there is no limit.

        The smaller of what the tokenizer and the network allow.
        """
        limits = [self.tokenizer.model_max_length, self._positions]
        known = [int(limit) for limit in limits if limit is not None and limit < _NO_LIMIT]
        return min(known, default=None)

    @property
    def device(self) -> Any:
        """Where inputs must be for the network to read them."""
        return self.hf.get_input_embeddings().weight.device

    @property
    def has_head(self) -> bool:
        """Whether there is a head that gives logits over the vocabulary."""
        return self.hf.get_output_embeddings() is not None

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What the tokenizer's ids spell."""
        return Vocabulary(self.tokenizer)

    @cached_property
    def forward_names(self) -> frozenset[str]:
        """The inputs to give the network: those that its forward names and, of the tokens, its tokenizer makes."""
        accepted = set(inspect.signature(self.hf.forward).parameters)
        if "kwargs" in accepted or "model_kwargs" in accepted:
            accepted.add("use_cache")
        if "token_type_ids" not in self.tokenizer.model_input_names:
            accepted.discard("token_type_ids")
        return frozenset(accepted)

    @property
    def padding_id(self) -> int:
        """What fills a batch; masked out, so that any id would do where there is no padding token."""
        return int(self.tokenizer.pad_token_id or 0)

    @property
    def decoder_start_id(self) -> int:
        """The token that an encoder-decoder's decoder starts from."""
        start = getattr(self.hf.config, "decoder_start_token_id", None)
        if start is None:
            start = getattr(getattr(self.hf, "generation_config", None), "decoder_start_token_id", None)
        if start is None:
            raise ModelError(f"{self.name} does not say which token its decoder starts from (decoder_start_token_id).")
        return int(start)

    def tokenize(self, text: str | None = None, pair: str | None = None, words: OwnWords | None = None) -> Tokens:
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

    def run(
        self,
        text: str,
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
            text: any string, the empty one included.
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
        return run_many(
            self,
            [text if pair is None else (text, pair)],
            targets=None if target is None else [target],
            layers=layers,
            attention=attention,
            logits=logits,
            long=long,
        )[0]

    def run_many(
        self,
        texts: Sequence[Text],
        *,
        targets: Sequence[str] | None = None,
        layers: Layers = "all",
        attention: bool = False,
        logits: bool = False,
        long: str = "window",
        batch_tokens: int = BATCH_TOKENS,
    ) -> list[Trace]:
        """Run the network on many texts, in batches of like length; the same numbers as one by one, in order.

        Args:
            texts: strings, or pairs as tuples of two.
            targets: for an encoder-decoder, one for each text.
            layers, attention, logits, long: as for `run`.
            batch_tokens: how many tokens, padding included, pass at once.
        """
        if isinstance(texts, str):
            raise InputError("run_many takes a list of texts; for one text use run.")
        return run_many(
            self,
            list(texts),
            targets=targets,
            layers=layers,
            attention=attention,
            logits=logits,
            long=long,
            batch_tokens=batch_tokens,
        )

    def describe(self) -> Description:
        """Modules, parameters by component, tied weights, limits, and where the weights came from."""
        from layerscope.describe import describe

        return describe(self)

    def sites(self, attention: bool = False) -> Sites:
        """Where in this network its outputs come into being; found once, by one pass over a short text."""
        with self.lock, evaluation(self.hf):
            if False not in self._sites:
                self._sites[False] = find_hidden_states(self.hf, self._short_inputs())
                found = sum(name == "hidden_states" for name, _ in self._sites[False])
                if found != self.num_layers + 1:
                    del self._sites[False]
                    raise ModelError(f"{self.name} has {self.num_layers} layers and reports {found} hidden states.")
            if attention and True not in self._sites:
                inputs = self._short_inputs()
                with recording_attention(self.hf):
                    found_too = find_attentions(self.hf, inputs)
                    recorded = self.hf(**inputs, output_hidden_states=True, output_attentions=True)
                plain = self.hf(**inputs, output_hidden_states=True)
                if not _agree(plain, recorded):
                    raise ModelError(f"{self.name} computes something else when it is asked for its attention; it is not shown.")
                self._sites[True] = self._sites[False] | found_too
            return self._sites[attention]

    def _short_inputs(self) -> dict[str, Any]:
        (tokens,) = encode(self.vocabulary, [_SHORT_TEXT])
        (window, *_) = windows(tokens, self.context_window, causal=False)
        target = None
        if self.kind == "encoder-decoder":  # several tokens: attention over a single one is 1 in every layer
            target = encode_target(self.vocabulary, _SHORT_TEXT, self.decoder_start_id)
        return network_inputs(self, [Item(0, tokens, window, target)])

    @cached_property
    def _positions(self) -> int | None:
        """How many positions the network has: its table of learned ones, or else what its configuration says."""
        for name, module in self.hf.named_modules():
            is_table = hasattr(module, "num_embeddings") and name.rpartition(".")[2] in _POSITION_TABLES
            if is_table and "relative" not in name:
                padding = getattr(module, "padding_idx", None)
                return int(module.num_embeddings) - int(getattr(module, "offset", 0 if padding is None else padding + 1))
        for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"):
            if self.config.model_type not in _NO_POSITIONS and getattr(self.config, name, None):
                return int(getattr(self.config, name))
        return None


def _agree(one: Any, other: Any) -> bool:
    """Whether two passes ended in the same hidden states, up to the rounding of another implementation."""
    ours, theirs = (out.get("hidden_states", out.get("decoder_hidden_states"))[-1].float() for out in (one, other))
    return bool((ours - theirs).abs().max() <= 0.02 * ours.abs().max())


_POSITION_TABLES = frozenset({"position_embeddings", "embed_positions", "wpe", "position_embedding"})

# Relative positions only: their configurations speak of the length they were trained on, which is no limit.
_NO_POSITIONS = frozenset({"t5", "mt5", "umt5", "longt5", "bloom", "mpt", "xlnet"})
