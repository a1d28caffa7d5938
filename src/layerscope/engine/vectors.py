"""From tokenised texts to the vectors of features: one pass for all of them, as deep as the deepest layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from layerscope.engine.replicas import Replicas
from layerscope.errors import ModelError
from layerscope.network.batching import Item
from layerscope.network.capture import Key
from layerscope.network.memory import Budget
from layerscope.network.pooled import Pool
from layerscope.network.wanted import Wanted
from layerscope.network.windows import windows
from layerscope.reduce.feature import Feature
from layerscope.reduce.pooling import MAX, POOLER, WEIGHTINGS, Array
from layerscope.run import passing
from layerscope.text.tokens import Tokens

if TYPE_CHECKING:
    from layerscope.network.network import Network

# What is told of texts (windows, of longer ones) and tokens as they pass.
Passed = Callable[[int, int], None]


def nothing(texts: int, tokens: int) -> None:
    """What is told and does nothing."""


# What a batch brings: pools [text, pair, hidden], states [text, token, hidden] by layer, pooler output.
Brought = tuple[Array | None, dict[int, Array], Array | None]


@dataclass(frozen=True)
class Asked:
    """What features ask of a pass over a network.

    Attributes:
        pooled: (layer, strategy) pairs that are pooled where the states pass, layer by layer.
        whole: layers of which the states of every token are needed: for "tokens", "words", and strategies
            that only their function knows.
        pooler: whether the pooler's output is.
    """

    pooled: tuple[tuple[int, str], ...]
    whole: tuple[int, ...]
    pooler: bool

    @classmethod
    def by(cls, features: Iterable[Feature], num_layers: int) -> Asked:
        """What these features ask of a model of this many blocks."""
        pairs = {(layer, one.pooling) for one in features for layer in one.resolve(num_layers)}
        pooled = {pair for pair in pairs if pair[1] in WEIGHTINGS or pair[1] == MAX}
        rest = {layer for layer, name in pairs - pooled if name != POOLER}
        return cls(
            tuple(sorted(pooled, key=lambda pair: (pair[0], pair[1] == MAX, pair[1]))),
            tuple(sorted(rest)),
            any(name == POOLER for _, name in pairs),
        )

    @property
    def wanted(self) -> Wanted:
        """The pass that brings it."""
        layers = sorted({*self.whole, *(layer for layer, _ in self.pooled)})
        return Wanted(tuple(layers), pooler=self.pooler)

    def at(self, layer: int) -> tuple[str, ...]:
        """The strategies that are pooled at a layer."""
        return tuple(name for number, name in self.pooled if number == layer)


@dataclass(frozen=True, eq=False)
class Vectors:
    """What a pass brought for n texts.

    Attributes:
        pooled: float32 [text, hidden] by layer and strategy.
        states: float32 [token, hidden] of each text, by layer.
        pooler: float32 [text, hidden], None if it was not asked for.
        num_windows: int64 [text], how many windows each text passed in; of several there is no "cls" and no
            "pooler" of the whole, and what is here for them means nothing.
    """

    pooled: dict[tuple[int, str], Array]
    states: dict[int, list[Array]]
    pooler: Array | None
    num_windows: Array


def vectors(
    replicas: Replicas,
    texts: Sequence[Tokens],
    asked: Asked,
    budget: Budget,
    passed: Passed = nothing,
) -> Vectors:
    """Run texts that are tokenised and fit (see `windows.fit`), and keep what was asked.

    Args:
        replicas: the model, as it is to run, and those who share the work.
        texts: none of them without tokens.
        asked: what to keep.
        budget: tokens a batch; halved where that many do not fit the device's memory.
        passed: called after each batch with the numbers of texts (or windows) and tokens that passed.

    Raises:
        ModelError: not even one text alone fits the device's memory.
    """
    model = replicas.model
    items = [
        Item(number, tokens, window)
        for number, tokens in enumerate(texts)
        for window in windows(tokens, model.context_window, causal=model.kind == "decoder")
    ]
    pools = np.zeros((len(texts), len(asked.pooled), model.hidden_size), dtype=np.float32)
    is_max = np.array([name == MAX for _, name in asked.pooled], dtype=bool)
    pools[:, is_max] = -np.inf
    states = {
        layer: [np.empty((len(one), model.hidden_size), np.float32) for one in texts] for layer in asked.whole
    }
    poolers = np.zeros((len(texts), model.hidden_size), dtype=np.float32) if asked.pooler else None
    try:
        for batch, brought in replicas.passes(items, budget, lambda one, batch: _pass(one, batch, asked)):
            shares, whole, pooler = brought
            for number, item in enumerate(batch):
                if shares is not None:
                    own = pools[item.text]
                    own[~is_max] += shares[number, ~is_max]
                    own[is_max] = np.maximum(own[is_max], shares[number, is_max])
                owned = item.window.owned
                for layer, arrays in whole.items():
                    states[layer][item.text][item.window.positions[owned]] = arrays[number, : len(owned)][
                        owned
                    ]
                if poolers is not None and pooler is not None:
                    poolers[item.text] = pooler[number]
            passed(len(batch), sum(len(item.window) for item in batch))
    except MemoryError as error:
        raise ModelError(
            f"One text of {error} tokens does not fit the memory of {model.device} beside {model.name}. "
            "Load the model in a smaller precision, or on a larger device."
        ) from error
    return Vectors(
        pooled={pair: pools[:, place] for place, pair in enumerate(asked.pooled)},
        states=states,
        pooler=poolers,
        num_windows=np.bincount([item.text for item in items], minlength=len(texts)),
    )


def _pass(model: Network, batch: Sequence[Item], asked: Asked) -> Brought:
    """What one batch brings: pools [text, pair, hidden], states [text, token, hidden] by layer, pooler output."""
    whole: dict[int, torch.Tensor] = {}
    strategies = {layer: asked.at(layer) for layer, _ in asked.pooled}
    pools_of = {names: Pool(batch, names) for names in set(strategies.values())}

    def take(key: Key, tensor: torch.Tensor) -> torch.Tensor:
        name, layer = key
        if name != "hidden_states":
            return tensor.float()
        if tensor.shape[-1] != model.hidden_size:
            raise ModelError(
                f"{model.name} cannot give features of layer {layer}, which is {tensor.shape[-1]} wide: its "
                f"hidden size is {model.hidden_size}."
            )
        if layer in asked.whole:
            whole[layer] = tensor.float()
        return pools_of[strategies[layer]](tensor) if layer in strategies else tensor[:, :0]

    taken, _ = passing(model, batch, asked.wanted, take)
    pooler = taken.pop(("pooler_output", 0), None)
    pools = [taken["hidden_states", layer] for layer in sorted(strategies)]
    return (
        _array(torch.cat([one.to(pools[0].device) for one in pools], dim=1)) if pools else None,
        {layer: _array(states) for layer, states in whole.items()},
        None if pooler is None else _array(pooler),
    )


def _array(tensor: torch.Tensor) -> Array:
    return np.asarray(tensor.cpu().numpy())
