"""What a network does behind its last block: its final norm and its head, for states of our own.

Nothing is looked up by name, and nothing computed anew: the network's own code goes on from the output of its
last block, with our states in its place. Of all that was called before, nothing runs again: it gives NaN of the
shapes that it once gave, so that whatever would still reach the logits from there is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, NamedTuple

import torch

from layerscope.errors import ModelError
from layerscope.network.batching import Item
from layerscope.network.blocks import Block
from layerscope.network.capture import (
    Path,
    Side,
    Site,
    call,
    evaluation,
    substituted,
    tensors,
    watch,
)
from layerscope.network.inputs import network_inputs
from layerscope.network.network import Network
from layerscope.network.outputs import named


class Unembedding:
    """The final norm and the head of a model, an encoder-decoder's decoder's, for `size` states at a time.

    `passed` makes one.
    """

    def __init__(
        self,
        model: Network,
        size: int,
        inputs: Mapping[str, Any],
        block: Site,
        before: Mapping[str, list[Any]],
    ) -> None:
        """Of a pass over `size` positions: its inputs, where the last block's output is, and what came before."""
        self.size = size
        self._model = model
        self._inputs = inputs
        self._block = block
        self._before = before

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """Logits [row, vocabulary] of states [row, hidden], `size` of them, each of any layer and position.

        They are taken for the output of the last block.
        """
        hf, site = self._model.hf, self._block
        *earlier, block = self._before[site.module]
        ours = _changed(block, lambda path, one: states[None].to(one) if path == site.path else one)
        with (
            self._model.lock,
            evaluation(hf),
            substituted(hf, {**self._before, site.module: [*earlier, ours]}),
        ):
            logits: torch.Tensor = named(call(hf, self._inputs))["logits"]
        return logits[0]


class Passed(NamedTuple):
    """What one plain pass gave, and the unembedding that was found by it.

    Attributes:
        unembedding: for as many states as the pass had positions.
        block: the last block's output [position, hidden].
        final: the last hidden state [position, hidden].
        logits: the model's own [position, vocabulary].
    """

    unembedding: Unembedding
    block: torch.Tensor
    final: torch.Tensor
    logits: torch.Tensor


def passed(model: Network, item: Item) -> Passed:
    """Run an item as ever, and find the unembedding.

    Raises:
        ModelError: the last block cannot be found.
    """
    name, depth = "hidden_states", model.num_layers
    if item.target is not None:
        name, depth = "decoder_hidden_states", model.num_decoder_layers
    with model.lock, evaluation(model.hf):
        last = model.sites()[name, depth]
        block = model.blocks("encoder" if item.target is None else "decoder")[-1]
        if block is None or last.is_reported or last.stream is not None:
            raise _not_found(model)
        inputs = network_inputs(model, [item])
        recording = _Recording(block, last, item.length)
        with watch(model.hf, None, recording.see):
            output = call(model.hf, inputs)
    if recording.site is None or recording.final is None:
        raise _not_found(model)
    unembedding = Unembedding(model, item.length, inputs, recording.site, recording.before)
    return Passed(unembedding, recording.block[0], recording.final[0], named(output)["logits"][0])


def _not_found(model: Network) -> ModelError:
    return ModelError(f"{model.name} cannot be read by the lens: its last block is not found.")


class _Recording:
    """Of one watched pass: where the last block's output passes, and what was called before, up to it."""

    def __init__(self, last_block: Block, last: Site, length: int) -> None:
        self.site: Site | None = None
        self.before: dict[str, list[Any]] = {}
        self.block: torch.Tensor
        self.final: torch.Tensor | None = None
        self._last_block = last_block
        self._last = last
        self._length = length
        self._nan: dict[tuple[torch.Size, torch.dtype, torch.device], torch.Tensor] = {}
        # For each call that has not ended, and for the pass itself, the calls that it made and that have.
        self._ended: list[list[tuple[str, Any]]] = [[]]

    def see(self, module: str, number: int, side: Side, value: Any) -> None:
        if _is_at(self._last, module, number, side):
            self.final = dict(tensors(value)).get(self._last.path)
        if self.site is not None:
            return
        if side == "in":
            self._ended.append([])
            return
        self._ended.pop()
        self._ended[-1].append((module, _changed(value, self._to_nan)))
        if Block(module, number) == self._last_block:
            self._end(module, number, value)

    def _to_nan(self, _path: Path, tensor: torch.Tensor) -> torch.Tensor:
        """NaN of its shape, one tensor for all of that shape: a copy of every layer's states would be large."""
        if not tensor.is_floating_point():
            return tensor
        alike = (tensor.shape, tensor.dtype, tensor.device)
        if alike not in self._nan:
            self._nan[alike] = torch.full_like(tensor, torch.nan)
        return self._nan[alike]

    def _end(self, module: str, number: int, value: Any) -> None:
        """The last block was left: what is then still going on are the modules that it lies in."""
        states = ((path, one) for path, one in tensors(value) if one.ndim == 3)
        found = next(((path, one) for path, one in states if one.shape[:2] == (1, self._length)), None)
        if found is None:
            return
        path, self.block = found
        for name, output in (ended for calls in self._ended for ended in calls):
            self.before.setdefault(name, []).append(output)
        self.site = Site(module, number, "out", path)


def _is_at(site: Site, module: str, number: int, side: Side) -> bool:
    return (site.module, site.call, site.side) == (module, number, side)


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
