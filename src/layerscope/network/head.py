"""What a network does behind its last block: its final norm and its head, for states of our own.

Nothing is looked up by name, and nothing computed anew: the network's own code goes on from the output of its
last block, with our states in its place. Of all that was called before, nothing runs again: it gives NaN of the
shapes that it once gave, so that whatever would still reach the logits from there is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any

import torch

from layerscope.errors import ModelError
from layerscope.network.batching import Item
from layerscope.network.capture import (
    Key,
    Path,
    Side,
    Site,
    call,
    capture,
    evaluation,
    substituted,
    tensors,
    watch,
)
from layerscope.network.inputs import network_inputs
from layerscope.network.outputs import named

if TYPE_CHECKING:
    from layerscope.model import Model

# What keeps the blocks of a network in their order.
_LISTS = (torch.nn.ModuleList, torch.nn.Sequential)

_BLOCK: Key = ("last block", 0)


class Head:
    """The final norm and the head of a model, an encoder-decoder's decoder's, for `size` positions at a time."""

    def __init__(self, model: Model, item: Item) -> None:
        """Find them by one pass over an item; as many positions as it has pass from then on.

        Raises:
            ModelError: the last block cannot be found.
        """
        self.model = model
        self.size = len(item.window if item.target is None else item.target)
        name, depth = "hidden_states", model.num_layers
        if item.target is not None:
            name, depth = "decoder_hidden_states", model.num_decoder_layers
        with model.lock, evaluation(model.hf):
            sites = model.sites()
            ends = [sites[name, number] for number in (depth - 1, depth)]
            if any(site.is_reported or site.stream is not None for site in ends):
                raise _not_found(model)
            self._inputs = network_inputs(model, [item])
            found = _Recording(model.hf, sites[name, depth - 1])
            with watch(model.hf, None, found.see):
                call(model.hf, self._inputs)
        if found.site is None:
            raise _not_found(model)
        self._last: Key = (name, depth)
        self._sites = {self._last: sites[name, depth], _BLOCK: found.site}
        self._before = found.before

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """Logits, float32 [position, vocabulary], of states [position, hidden], `size` of them, by a layer's.

        They are taken for the output of the last block.
        """
        hf, site = self.model.hf, self._sites[_BLOCK]
        *earlier, block = self._before[site.module]
        ours = _changed(block, lambda path, one: states[None].to(one) if path == site.path else one)
        with (
            self.model.lock,
            evaluation(hf),
            substituted(hf, self._before | {site.module: [*earlier, ours]}),
        ):
            logits: torch.Tensor = named(call(hf, self._inputs))["logits"]
        return logits[0].float()

    def plain(self, item: Item) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """A pass as ever: the last block's output [token, hidden], the last hidden state, the model's own logits."""
        hf = self.model.hf
        with self.model.lock, evaluation(hf):
            inputs = network_inputs(self.model, [item])
            caught, output = capture(hf, inputs, self._sites, lambda _key, tensor: tensor[0], whole=True)
        return caught[_BLOCK], caught[self._last], named(output)["logits"][0]


def _not_found(model: Model) -> ModelError:
    return ModelError(f"{model.name} cannot be read by the lens: its last block is not found.")


class _Recording:
    """Of one watched pass: where the last block's output passes, and what was called before, up to it.

    The last block is the first module in a list of modules that the state of the layer before it goes into.
    """

    def __init__(self, hf: Any, previous: Site) -> None:
        self.site: Site | None = None
        self.before: dict[str, list[Any]] = {}
        self._hf = hf
        self._previous = previous
        self._state: torch.Tensor | None = None
        self._block: tuple[str, int] | None = None
        # For each call that has not ended, and for the pass itself, the calls that it made and that have.
        self._ended: list[list[tuple[str, Any]]] = [[]]

    def see(self, module: str, number: int, side: Side, value: Any) -> None:
        if self.site is not None:
            return
        if (module, number, side) == (self._previous.module, self._previous.call, self._previous.side):
            self._state = dict(tensors(value))[self._previous.path]
        if side == "in":
            self._ended.append([])
            if self._block is None and self._is_listed(module) and self._carries_state(value):
                self._block = (module, number)
            return
        self._ended.pop()
        self._ended[-1].append((module, _changed(value, _to_nan)))
        if (module, number) == self._block:
            self._end(module, number, value)

    def _is_listed(self, module: str) -> bool:
        parent, _, name = module.rpartition(".")
        return bool(name) and isinstance(self._hf.get_submodule(parent), _LISTS)

    def _carries_state(self, value: Any) -> bool:
        state = self._state
        return state is not None and any(
            one.shape == state.shape and torch.equal(one, state) for _, one in tensors(value)
        )

    def _end(self, module: str, number: int, value: Any) -> None:
        """The last block was left: what is then still going on are the modules that it lies in."""
        assert self._state is not None
        shape = self._state.shape
        path = next((path for path, one in tensors(value) if one.shape == shape), None)
        if path is None:
            return
        for name, output in (ended for calls in self._ended for ended in calls):
            self.before.setdefault(name, []).append(output)
        self.site = Site(module, number, "out", path)


def _to_nan(_path: Path, tensor: torch.Tensor) -> torch.Tensor:
    return torch.full_like(tensor, torch.nan) if tensor.is_floating_point() else tensor


def _changed(value: Any, change: Callable[[Path, torch.Tensor], torch.Tensor], path: Path = ()) -> Any:
    """A nest of tuples, lists and dictionaries with other tensors in it."""
    if isinstance(value, torch.Tensor):
        return change(path, value)
    if isinstance(value, Mapping):
        inner: Any = copy(value)
        for key, one in value.items():
            inner[key] = _changed(one, change, (*path, key))
        return inner
    if isinstance(value, tuple | list):
        parts = [_changed(one, change, (*path, index)) for index, one in enumerate(value)]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value
