"""Which module is block k: found by what goes into it, for any family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from layerscope.network.capture import Key, Side, Site, call, tensors, watch
from layerscope.network.inputs import network_inputs
from layerscope.network.parts import Parts
from layerscope.network.sites import STATES
from layerscope.network.trial import short_item

# What keeps the blocks of a network in their order.
_LISTS = (torch.nn.ModuleList, torch.nn.Sequential)


@dataclass(frozen=True)
class Block:
    """One block of a network.

    Attributes:
        module: its name in the network.
        call: which of the module's calls within one pass, from 0; blocks that share a module (ALBERT) are its calls.
    """

    module: str
    call: int


def find_blocks(model: Parts, sites: Mapping[Key, Site]) -> dict[str, tuple[Block | None, ...]]:
    """The blocks in order, for the hidden states of each side of a network: "hidden_states", "decoder_hidden_states".

    Block k is the first module in a list of modules that the hidden states of layer k - 1 go into, in a pass over a
    short text. None for one that is not found: the states pass through no module, in parallel streams, or into no
    module of a list.
    """
    search = _Search(model.hf, {key: site for key, site in sites.items() if key[0] in STATES})
    with watch(model.hf, None, search.see):
        call(model.hf, network_inputs(model, [short_item(model)]))
    return {
        name: tuple(search.found.get((name, index)) for index in range(count - 1))
        for name in STATES
        if (count := sum(one == name for one, _ in sites))
    }


class _Search:
    """Of one watched pass: the states that have passed, and the modules that they then went into."""

    def __init__(self, hf: Any, sites: Mapping[Key, Site]) -> None:
        self.found: dict[Key, Block] = {}
        self._hf = hf
        self._keys = {
            (site.module, site.call, site.side): (key, site)
            for key, site in sites.items()
            if not site.is_reported and site.stream is None
        }
        self._states: dict[Key, torch.Tensor] = {}

    def see(self, module: str, number: int, side: Side, value: Any) -> None:
        """Take what passes."""
        if (module, number, side) in self._keys:
            key, site = self._keys[module, number, side]
            self._states[key] = dict(tensors(value))[site.path]
        if side == "in" and self._is_listed(module):
            passing = [one for _, one in tensors(value)]
            # The lowest layer alone: where a block changes nothing, two layers have the same states for now.
            for key, state in sorted(self._states.items(), key=lambda one: one[0]):
                if any(one.shape == state.shape and torch.equal(one, state) for one in passing):
                    self.found[key] = Block(module, number)
                    del self._states[key]
                    break

    def _is_listed(self, module: str) -> bool:
        parent, _, name = module.rpartition(".")
        return bool(name) and isinstance(self._hf.get_submodule(parent), _LISTS)
