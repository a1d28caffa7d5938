"""What the states of a network's layers predict: their logits, proven first, and reduced as soon as they are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from layerscope.errors import InputError, ModelError
from layerscope.network.batching import Item
from layerscope.network.head import Head
from layerscope.network.outputs import as_array, tolerance
from layerscope.network.windows import Window
from layerscope.reduce.pooling import Array

Ids = NDArray[np.int64]

# So many chunks of positions: the probabilities of a chunk, the final ones beside them and what is made of both
# on the way are together less than the logits of one layer.
_CHUNKS = 8


def beginning(item: Item) -> Item:
    """The first positions of an item, one chunk of them."""
    if item.target is not None:
        return replace(item, target=item.target.keep(np.arange(-(-len(item.target) // _CHUNKS))))
    size = -(-len(item.window) // _CHUNKS)
    return replace(item, window=Window(item.window.positions[:size], item.window.owned[:size]))


def proven(head: Head, items: Sequence[Item], states: Array) -> tuple[torch.Tensor, float]:
    """What the last block gives for a text, run again as it is, and proof that the head goes on from that.

    Args:
        head: made with a `beginning` of one of the items.
        items: the windows of the text.
        states: float32 [position, hidden], the last hidden state that a trace holds.

    Returns:
        the output of the last block, float32 [position, hidden], and the largest difference of what the head makes of
        it from the model's own logits.

    Raises:
        InputError: `states` are not what the model computes now.
        ModelError: the logits differ by more than the tolerance of `verify`.
    """
    model = head.model
    allowed = tolerance(model.hf.dtype)
    last = torch.empty(states.shape, device=model.device)
    differences = []
    for item in items:
        block, final, difference = _compared(head, item)
        differences.append(difference)
        owned = np.flatnonzero(item.window.owned) if item.target is None else np.arange(len(states))
        places = item.window.positions[owned] if item.target is None else owned
        last[places] = block[owned].to(last)
        moved = float(np.abs(states[places] - as_array(final)[owned]).max())
        if not moved <= allowed * max(1.0, float(np.abs(states).max())):
            raise InputError(
                f"{model.name} computes other states now than this trace holds (they differ by {moved:.2g}): "
                "run its text again."
            )
    largest, scale = np.max(differences, axis=0)  # by numpy, since Python's max would lose a NaN
    if not largest <= allowed * max(1.0, scale):
        raise ModelError(
            f"The lens does not hold for {model.name}: from the states of its last block alone its head does not give "
            f"its own logits (they differ by {largest:.2g}, of at most {scale:.2g})."
        )
    return last, float(largest)


def _compared(head: Head, item: Item) -> tuple[torch.Tensor, torch.Tensor, tuple[float, float]]:
    """The last block's output and the last hidden state of an item; the largest difference of its logits, and logit."""
    block, final, own = head.plain(item)
    found = []
    for rows in _chunks(len(own), head.size):
        theirs = own[rows].float()
        differences = head(block[rows]).sub_(theirs)
        found.append([torch.linalg.vector_norm(one, torch.inf).item() for one in (differences, theirs)])
    largest, scale = np.max(found, axis=0)
    return block, final, (largest, scale)


def read(head: Head, states: Sequence[torch.Tensor], actual: Ids, k: int) -> dict[str, NDArray[Any]]:
    """The arrays of a `Lens` that have layers, as if every position had an actual token.

    Args:
        head: what makes logits of states.
        states: for each layer [position, hidden]; of the last, what its block gives.
        actual: [position], ids.
        k: how many of the most probable tokens.
    """
    found: dict[str, NDArray[Any]] = {}
    for rows in _chunks(len(actual), head.size):
        final = torch.log_softmax(head(states[-1][rows]), dim=-1)
        chosen = {
            "answer": final.topk(k).indices[:, 0],
            "actual": torch.from_numpy(actual[rows]).to(final.device).clamp(min=0),
        }
        for layer, state in enumerate(states):
            logs = final if state is states[-1] else torch.log_softmax(head(state[rows]), dim=-1)
            for name, value in _measured(logs, final, chosen, k).items():
                array = value.cpu().numpy()
                whole = (len(states), len(actual), *array.shape[1:])
                found.setdefault(name, np.empty(whole, array.dtype))[layer, rows] = array
    return found


def _chunks(count: int, size: int) -> list[slice]:
    """Positions in chunks of one size; the last is moved back so that it is full."""
    starts = (*range(0, count - size, size), count - size)
    return [slice(start, start + size) for start in starts]


def _measured(
    logs: torch.Tensor, final: torch.Tensor, chosen: Mapping[str, torch.Tensor], k: int
) -> dict[str, torch.Tensor]:
    """What a `Lens` holds of a layer's log probabilities [position, vocabulary], by the final ones and chosen ids."""
    top = logs.topk(k)
    found = {"top_ids": top.indices, "top_probabilities": top.values.exp()}
    for name, ids in chosen.items():
        own = logs.gather(1, ids[:, None])
        found[f"{name}_ranks"] = (logs > own).sum(dim=1) + 1
        found[f"{name}_probabilities"] = own[:, 0].exp()
    found["entropy"] = torch.special.entr(logs.exp()).sum(dim=1)
    weights = final.exp()
    terms = (final - logs).mul_(weights).masked_fill_(weights == 0, 0)
    # It is never below 0, but the rounding of a sum over the vocabulary may be.
    found["divergence"] = terms.sum(dim=1).clamp(min=0)
    return found
