"""What the states of a network's layers predict: their logits, proven first, and reduced as soon as they are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from layerscope.errors import ModelError
from layerscope.network.batching import Item
from layerscope.network.outputs import as_array, tolerance
from layerscope.network.unembedding import Unembedding, passed
from layerscope.reduce.pooling import Array

if TYPE_CHECKING:
    from layerscope.model import Model

Ids = NDArray[np.int64]

# How many rows of logits are measured at a time, at most: few, so that they stay in the processor's cache.
_ROWS = 4

# Of a text of so few tokens, two layers' logits are less than another pass is worth.
_SHORT = 32


def _rows(positions: int) -> int:
    """How many rows of logits are measured at a time."""
    return max(2, min(_ROWS, positions // 32))


def proven(model: Model, items: Sequence[Item], states: Array) -> tuple[Unembedding, torch.Tensor, float]:
    """A text run again as it is, and proof that the head goes on from the output of the last block.

    Args:
        model: a model with a language-model head.
        items: the windows of the text.
        states: float32 [position, hidden], the last hidden state, of a run of the text.

    Returns:
        the head, the output of the last block, float32 [position, hidden], and the largest difference of what the head
        makes of it from the model's own logits.

    Raises:
        ModelError: `states` are not what the model computes now, or the logits differ by more than the tolerance of
            `verify`.
    """
    few: Unembedding | None = None
    shortest = min(item.length for item in items)
    if shortest > _SHORT:
        # A few rows at a time, since beside them are the model's own logits, which are one layer's.
        few = passed(model, items[0].beginning(max(8, shortest // 8))).unembedding
    heads, differences = [], []
    allowed = tolerance(model.hf.dtype)
    last = torch.empty(states.shape)
    for item in items:
        head, block, final, own = passed(model, item)
        heads.append(head)
        differences.append(_difference(few or head, block, own))
        del own  # before the next are made
        owned = np.flatnonzero(item.window.owned) if item.target is None else np.arange(len(states))
        places = item.window.positions[owned] if item.target is None else owned
        last[places] = block[owned].to(last)
        moved = float(np.abs(states[places] - as_array(final)[owned]).max())
        if not moved <= allowed * max(1.0, float(np.abs(states).max())):
            raise ModelError(
                f"{model.name} computes other states each time that it is run (they differ by {moved:.2g}), so that "
                "the lens cannot be proven."
            )
    largest, scale = np.max(differences, axis=0)  # by numpy, since Python's max would lose a NaN
    if not largest <= allowed * max(1.0, scale):
        raise ModelError(
            f"The lens does not hold for {model.name}: from the states of its last block alone its head does not give "
            f"its own logits (they differ by {largest:.2g}, of at most {scale:.2g})."
        )
    return heads[0], last, float(largest)


def _difference(head: Unembedding, block: torch.Tensor, own: torch.Tensor) -> tuple[float, float]:
    """The largest difference of the head's logits from the model's own, and the largest of these."""
    found = []
    for rows in _chunks(len(own), head.size):
        differences, theirs = head(block[rows]).float().sub_(own[rows]), own[rows].float()
        found.append([torch.linalg.vector_norm(one, torch.inf).item() for one in (differences, theirs)])
    largest, scale = np.max(found, axis=0)
    return largest, scale


def read(head: Unembedding, states: Sequence[torch.Tensor], actual: Ids, k: int) -> dict[str, NDArray[Any]]:
    """The arrays of a `Lens` that have layers, as if every position had an actual token.

    Args:
        head: what makes logits of states.
        states: for each layer [position, hidden]; of the last, what its block gives.
        actual: [position], ids.
        k: how many of the most probable tokens.
    """
    pieces: dict[str, list[torch.Tensor]] = {}
    before = -1
    for position, logs in _distributions(head, states):
        if position != before:
            final, before = _Final.of(logs[0].clone(), int(actual[position]), k), position
        for name, value in _measured(logs, final, k).items():
            pieces.setdefault(name, []).append(value)
    return {name: _by_layer(torch.cat(values), len(states)) for name, values in pieces.items()}


def _by_layer(values: torch.Tensor, layers: int) -> NDArray[Any]:
    """What was measured position by position, the last layer first, as [layer, position, …]."""
    by_position = values.reshape(-1, layers, *values.shape[1:])
    return np.ascontiguousarray(by_position.roll(-1, dims=1).transpose(0, 1).cpu().numpy())


class _Final(NamedTuple):
    """What the model itself predicts at a position: [vocabulary], and the ids of its answer and the actual token."""

    logs: torch.Tensor
    probabilities: torch.Tensor
    impossible: torch.Tensor
    chosen: dict[str, int]

    @classmethod
    def of(cls, logs: torch.Tensor, actual: int, k: int) -> _Final:
        probabilities = logs.exp()
        # By topk, as everywhere, since of equal ones argmax may choose another.
        chosen = {"answer": int(logs.topk(k).indices[0]), "actual": max(0, actual)}
        return cls(logs, probabilities, probabilities == 0, chosen)


def _distributions(head: Unembedding, states: Sequence[torch.Tensor]) -> Iterator[tuple[int, torch.Tensor]]:
    """A position, and log probabilities [layer, vocabulary] of its next few layers.

    They come position by position, the last layer first. The head makes the logits of many layers and positions at a
    time, since a matrix product of few rows is slow.
    """
    number, positions = len(states), len(states[0])
    order = [(position, layer) for position in range(positions) for layer in (number - 1, *range(number - 1))]
    filled = order + [order[-1]] * (-len(order) % head.size)
    few = _rows(positions)
    for start in range(0, len(order), head.size):
        logits = head(
            torch.stack([states[layer][position] for position, layer in filled[start : start + head.size]])
        )
        places = [position for position, _ in order[start : start + head.size]]
        done = 0
        while done < len(places):
            count = places[done : done + few].count(places[done])
            yield places[done], torch.log_softmax(logits[done : done + count].float(), dim=-1)
            done += count
        del logits  # before the next are made


def _chunks(count: int, size: int) -> list[slice]:
    """Positions in chunks of one size; the last is moved back so that it is full."""
    starts = (*range(0, count - size, size), count - size)
    return [slice(start, start + size) for start in starts]


def _measured(logs: torch.Tensor, final: _Final, k: int) -> dict[str, torch.Tensor]:
    """What a `Lens` holds of a position's log probabilities [layer, vocabulary], which are written over."""
    top = logs.topk(k)
    found = {"top_ids": top.indices, "top_probabilities": top.values.exp()}
    for name, one in final.chosen.items():
        own = logs[:, one]
        found[f"{name}_ranks"] = torch.count_nonzero(logs > own[:, None], dim=1) + 1
        found[f"{name}_probabilities"] = own.exp()
    terms = (final.logs - logs).mul_(final.probabilities).masked_fill_(final.impossible, 0)
    # It is never below 0, but the rounding of a sum over the vocabulary may be.
    found["divergence"] = terms.sum(dim=1).clamp(min=0)
    torch.exp(logs, out=terms)
    # A probability of 0 times its logarithm counts as 0, not as NaN.
    found["entropy"] = -terms.mul_(logs.clamp_(min=torch.finfo(logs.dtype).min)).sum(dim=1)
    return found
