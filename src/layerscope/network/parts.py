"""The parts of a model: the network, its tokenizer and their sizes, before anything is found out by running them."""

from __future__ import annotations

import inspect
import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from layerscope.errors import ModelError
from layerscope.head import Head
from layerscope.network import sizes
from layerscope.network.heads import heads
from layerscope.network.outputs import AXES
from layerscope.source import Source
from layerscope.text.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Parts:
    """A network and its tokenizer, and what they say of themselves.

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

    @property
    def name(self) -> str:
        """The name that it was asked for by."""
        return self.source.name

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether it reads a text and, beside it, a target; with a head that classifies, its decoder reads the text."""
        reads_target = bool(self.hf.config.is_encoder_decoder) and "decoder_input_ids" in self.forward_names
        return reads_target and (self.has_head or not self.heads)

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

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """What stands on the body, each with what it is for, its outputs and its labels; none of a bare network."""
        return heads(self.hf, self.untrained)

    @property
    def trained_heads(self) -> tuple[Head, ...]:
        """Those that the checkpoint has weights for."""
        return tuple(head for head in self.heads if not head.is_untrained)

    @cached_property
    def axes(self) -> dict[str, str]:
        """The axes of every output, those of its heads included."""
        return AXES | {name: axes for head in self.heads for name, axes in head.axes.items()}

    @property
    def has_head(self) -> bool:
        """Whether there is a head that gives logits over the vocabulary."""
        return any(head.is_language_model for head in self.heads)

    @property
    def untrained_head(self) -> bool:
        """Whether the checkpoint lacks weights for that head, so that its logits would be noise."""
        return any(head.is_language_model and head.is_untrained for head in self.heads)

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
        return _forward_names(self.hf, self.tokenizer)

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


# Whatever the configuration says: nothing is kept for generation, and outputs have names.
_ALWAYS = frozenset({"use_cache", "return_dict"})


def _forward_names(hf: Any, tokenizer: Any) -> frozenset[str]:
    """The inputs to give a network: those that its forward names and, of the tokens, its tokenizer makes."""
    parameters = inspect.signature(hf.forward).parameters
    made = {*tokenizer.model_input_names, "decoder_input_ids", *_ALWAYS}
    if "input_ids" not in parameters:  # a wrapper (adapters) that hands on whatever it is given
        return frozenset(made)
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    accepted = set(parameters) | (_ALWAYS if takes_any else set())
    if "token_type_ids" not in made:
        accepted.discard("token_type_ids")
    return frozenset(accepted)
