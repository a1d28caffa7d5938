"""What a pass is to bring back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wanted:
    """What a pass is to bring back: layers (0 = embeddings), attention and projections of the blocks
    among them, logits, pooler.

    `decoder_layers` are those of an encoder-decoder's decoder, empty where it is given nothing to read.
    """

    layers: tuple[int, ...]
    decoder_layers: tuple[int, ...] = ()
    attention: bool = False
    logits: bool = False
    pooler: bool = False
    projections: bool = False
