"""What the network is given: the tokens of a batch as tensors, padded, under the names that it knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from layerscope.network.batching import Item, padded
from layerscope.network.parts import Parts
from layerscope.network.windows import windows
from layerscope.text.encode import encode_target
from layerscope.text.tokens import Tokens


def network_inputs(model: Parts, batch: Sequence[Item]) -> dict[str, Any]:
    """The keyword arguments of the network's forward: tensors [text, token], padded on the right.

    There is a mask even where nothing is padded, as a tokenizer gives one: some families (XLM) otherwise take
    a padding token that is written in a text for padding.
    """
    rows = {
        "input_ids": ([item.tokens.ids[item.window.positions] for item in batch], model.padding_id),
        "attention_mask": ([np.ones(len(item.window), dtype=np.int64) for item in batch], 0),
        "token_type_ids": ([item.tokens.token_type_ids[item.window.positions] for item in batch], 0),
    }
    if model.is_encoder_decoder:
        # The encoder alone still needs a decoder input to start from; the pass stops before it is used.
        starts = [
            np.array([model.decoder_start_id]) if item.target is None else item.target.ids for item in batch
        ]
        # It sees nothing behind a token, so that its padding, on the right, needs no mask.
        rows["decoder_input_ids"] = (starts, model.padding_id)
    inputs: dict[str, Any] = {
        name: torch.from_numpy(padded(values, fill)).to(model.device)
        for name, (values, fill) in rows.items()
        if name in model.forward_names
    }
    fixed = {"use_cache": False, "return_dict": True}
    return inputs | {name: value for name, value in fixed.items() if name in model.forward_names}


def inputs_of(model: Parts, tokens: Tokens) -> dict[str, Any]:
    """The keyword arguments of the network's forward for one text that fits its context window.

    An encoder-decoder's decoder reads the same text, so that there is something for it to compute.
    """
    target = None
    if model.is_encoder_decoder:
        target = encode_target(model.vocabulary, tokens.text, model.decoder_start_id)
    (window, *_) = windows(tokens, None, causal=False)
    return network_inputs(model, [Item(0, tokens, window, target)])
