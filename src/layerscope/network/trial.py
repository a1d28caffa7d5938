"""The texts on which a network is tried before it is believed: a short one alone, and beside a longer one."""

from __future__ import annotations

import numpy as np

from layerscope.network.batching import Item
from layerscope.network.parts import Parts
from layerscope.network.windows import cut, windows
from layerscope.text.encode import encode, encode_target
from layerscope.text.tokens import Tokens

SHORT = "Seeing is believing."
LONG = "The old man told me a story about my mother, and nobody walked there before the morning."


def short_item(model: Parts) -> Item:
    """The short text."""
    return _item(model, 0, SHORT)


def batch(model: Parts) -> list[Item]:
    """The short text beside one that is longer, and at most twice as long."""
    short, long = short_item(model), _item(model, 1, LONG)
    size = 2 * len(short.window)
    return [short, long if len(long.window) <= size else _whole(1, cut(long.tokens, size), long.target)]


def _item(model: Parts, number: int, text: str) -> Item:
    (tokens,) = encode(model.vocabulary, [text])
    return _whole(number, tokens, _target(model, number) if model.is_encoder_decoder else None)


def _target(model: Parts, number: int) -> Tokens:
    """What a decoder reads, of the second text more; a little less than the short text, so that the sides differ."""
    (short,) = encode(model.vocabulary, [SHORT])
    target = encode_target(model.vocabulary, LONG, model.decoder_start_id)
    return target.keep(np.arange(max(len(short) - 2 + number, 1)))


def _whole(number: int, tokens: Tokens, target: Tokens | None) -> Item:
    (window,) = windows(tokens, None, causal=False)
    return Item(number, tokens, window, target)
