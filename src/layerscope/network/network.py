"""A network that is looked into: its parts, and what is found out by running them, once."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from layerscope.errors import ModelError
from layerscope.network.batching import ALONE
from layerscope.network.blocks import Block, find_blocks
from layerscope.network.capture import Key, Site, evaluation
from layerscope.network.limits import Limits, limits
from layerscope.network.parts import Parts
from layerscope.network.projections import projection_sites
from layerscope.network.sites import Sites, attention_sites, hidden_sites
from layerscope.network.traits import Traits, traits


@dataclass(eq=False)
class Found:
    """What was found out about a network by running it: once, and so known to every copy that shares its weights."""

    sites: dict[bool, Sites] = field(default_factory=dict)
    traits: Traits | None = None
    limits: Limits | None = None
    blocks: dict[str, tuple[Block | None, ...]] | None = None
    projections: dict[Key, Site] | None = None


@dataclass(frozen=True, eq=False)
class Network(Parts):
    """The parts of a model, where its outputs come into being, and how it behaves; what `run` needs."""

    _found: Found = field(default_factory=Found, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """All but the lock and what was found out: so that a model can be copied."""
        return {name: getattr(self, name) for name in ("hf", "tokenizer", "source", "untrained")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, lock=threading.RLock(), _found=Found())

    def sites(self, attention: bool = False) -> Sites:
        """Where in this network its outputs come into being; found once, by one pass over a short text."""
        with self.lock:
            if attention not in self._found.sites:
                with evaluation(self.hf):
                    found = attention_sites(self, self.sites()) if attention else hidden_sites(self)
                if not found.certain:
                    return found
                self._found.sites[attention] = found
            return self._found.sites[attention]

    def blocks(self, side: str = "encoder") -> tuple[Block | None, ...]:
        """The module of each block in order, of an encoder-decoder those of one side; None for one that is not found.

        Block k of this tuple is layer k + 1. See `find_blocks`.

        Args:
            side: "encoder", or "decoder" for an encoder-decoder's decoder.
        """
        with self.lock:
            found = self._found.blocks
            if found is None:
                sites = self.sites()
                with evaluation(self.hf):
                    found = find_blocks(self, sites)
                if sites.certain:
                    self._found.blocks = found
            return found["hidden_states" if side == "encoder" else "decoder_hidden_states"]

    def projections(self) -> dict[Key, Site]:
        """Where the blocks of a known kind, of an encoder-decoder its encoder's, make queries, keys and values."""
        with self.lock:
            found = self._found.projections
            if found is None:
                found = projection_sites(self.hf, self.blocks())
                if self._found.blocks is not None:
                    self._found.projections = found
            return found

    @property
    def traits(self) -> Traits:
        """How the network behaves, tried once."""
        with self.lock:
            if self._found.traits is None:
                self._found.traits = traits(self, self.sites)
            return self._found.traits

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
                self._found.limits = limits(self, self.sites)
            return self._found.limits

    def tokens_at_once(self, most: int) -> int:
        """How many tokens may pass at once: `most`, or each text alone where others beside it would change its numbers.

        Raises:
            ModelError: the network cannot be read.
        """
        if self.traits.refusal is not None:
            raise ModelError(self.traits.refusal)
        return most if self.traits.company is None else ALONE
