"""How many tokens a network reads at once, and which ids it has rows for: read off a pass, not off names.

One pass over a short text is watched: a table that is asked for consecutive rows, one a token, is a table of
positions, and the rows behind the first one asked for are how many it has. So a table that is not used for texts (a
vision tower's) counts for nothing, and the rows that belong to no position need no rule for each family.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from layerscope.errors import ModelError
from layerscope.network.capture import Key, Site, call, capture, evaluation
from layerscope.network.inputs import network_inputs
from layerscope.network.parts import Parts
from layerscope.network.sites import Sites
from layerscope.network.trial import short_item
from layerscope.network.windows import Window

# Tokenizers that know no limit report this or more.
_NO_LIMIT = 10**9

# Where the configuration says it, for families that compute their positions (rotary ones).
_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_target_positions")

# Relative positions only: what their configurations say is the length they were trained on, which is no limit.
_UNLIMITED = frozenset({"t5", "mt5", "umt5", "longt5", "switch_transformers", "bloom", "xlnet"})

# What the first block gives.
_FIRST: Key = ("hidden_states", 1)

# So many tokens are tried at most: a pass through one block takes time and memory that grow as the square.
_TRIED = 1024


@dataclass(frozen=True)
class Limits:
    """What a network takes.

    Attributes:
        window: the most tokens of a text, special ones included; None where there is no limit.
        target_window: the most tokens that an encoder-decoder's decoder reads; None likewise.
    """

    window: int | None
    target_window: int | None


def limits(model: Parts, sites: Callable[[], Sites]) -> Limits:
    """The smaller of what the tokenizer says, and what the network has positions for or its configuration says."""
    says = model.tokenizer.model_max_length
    says = None if says is None or says >= _NO_LIMIT else int(says)
    said = _smaller(says, _configured(model.config))
    if model.device.type == "meta":  # nothing runs without weights
        return Limits(said, said)
    try:
        watched = _watched(model)
    except ModelError:  # said when it is run
        return Limits(said, said)
    window = watched.get("T", _configured(model.config))
    if window is not None and window <= _TRIED and model.device.type == "cpu":
        window = _longest(model, sites, window)  # elsewhere an index that is too large ends the process
    target = watched.get("D", _configured(model.decoder_config))
    return Limits(_smaller(says, window), _smaller(says, target))


def _smaller(*sizes: int | None) -> int | None:
    return min((size for size in sizes if size is not None), default=None)


def _configured(config: Any) -> int | None:
    """What a configuration says."""
    if config.model_type in _UNLIMITED:
        return None
    return next((int(value) for key in _KEYS if (value := getattr(config, key, None))), None)


class _Tables(TorchFunctionMode):  # type: ignore[misc]
    """Notes, for every run of consecutive rows that a table is asked for, its length and the rows from its first on."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[int, int]] = []

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """One call of a torch function; inside, this mode is off."""
        if function is F.embedding:
            self._note(*args[:2])
        return function(*args, **(kwargs or {}))

    def _note(self, indices: torch.Tensor, table: torch.Tensor) -> None:
        rows = indices.detach().to("cpu").reshape(-1)
        (breaks,) = torch.nonzero(
            torch.diff(rows) != 1, as_tuple=True
        )  # padding that a network adds by itself
        count = int(breaks[0]) + 1 if len(breaks) else len(rows)
        if count > 1:
            self.found.append((count, len(table) - int(rows[0])))


def _watched(model: Parts) -> dict[str, int]:
    """The positions that the network has tables for, of texts (T) and of what a decoder reads (D)."""
    item = short_item(model)
    tables = _Tables()
    with model.lock, evaluation(model.hf), tables:
        call(model.hf, network_inputs(model, [item]))
    lengths = {"T": len(item.window), "D": 0 if item.target is None else len(item.target)}
    by_length = {
        side: [rows for count, rows in tables.found if count == length] for side, length in lengths.items()
    }
    if not by_length["T"]:  # a network that pads its input by itself asks for more rows
        by_length["T"] = [rows for count, rows in tables.found if count > max(lengths.values())]
    return {side: min(rows) for side, rows in by_length.items() if rows}


def _longest(model: Parts, sites: Callable[[], Sites], most: int) -> int:
    """The most tokens, up to `most`, that pass the first block; halved until the edge is found."""
    fits, fails = len(short_item(model).window), most + 1
    while fits < fails - 1:
        middle = most if fails == most + 1 else (fits + fails) // 2
        if _passes(model, sites()[_FIRST], middle):
            fits = middle
        else:
            fails = middle
    return fits


def _passes(model: Parts, site: Site, length: int) -> bool:
    """Whether a text of so many tokens passes the first block."""
    item = short_item(model)
    positions = np.resize(np.arange(len(item.window)), length)
    long = replace(item, window=Window(positions, np.ones(length, dtype=bool)))
    if site.is_reported:
        return True  # the whole pass would be too long to try
    try:
        with model.lock, evaluation(model.hf):
            capture(
                model.hf,
                network_inputs(model, [long]),
                {_FIRST: site},
                lambda _key, one: one[:0],
                whole=False,
            )
    except ModelError:
        return False
    return True
