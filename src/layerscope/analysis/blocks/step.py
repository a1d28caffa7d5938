"""One step inside a block."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np

from layerscope.algebra import Linear
from layerscope.reduce.pooling import Array

# What the axes of each step are, and what it is in a few words.
_TOKENS, _INNER, _HEADS, _SCORES = "token hidden", "token inner", "head token width", "head query key"
_MEANINGS = {
    "input": (_TOKENS, "The hidden states of the layer before"),
    "norm before attention": (_TOKENS, "Each vector brought to a like length"),
    "queries": (_HEADS, "What each token looks for"),
    "keys": (_HEADS, "What each token is found by"),
    "values": (_HEADS, "What each token has to give"),
    "normed queries": (_HEADS, "Queries brought to a like length"),
    "normed keys": (_HEADS, "Keys brought to a like length"),
    "rotated queries": (_HEADS, "Queries turned by their position"),
    "rotated keys": (_HEADS, "Keys turned by theirs"),
    "scores": (_SCORES, "How well each key fits each query"),
    "masked scores": (_SCORES, "What a query may not see taken out"),
    "probabilities": (_SCORES, "Scores as shares: each row sums to 1"),
    "weighted values": (_HEADS, "The values, mixed by these shares"),
    "attention output": (_TOKENS, "What attention adds to the stream"),
    "sum after attention": (_TOKENS, "The residual stream, with what is added"),
    "norm after attention": (_TOKENS, "Each vector brought to a like length"),
    "norm before feed-forward": (_TOKENS, "Each vector brought to a like length"),
    "up": (_INNER, "Each token alone, in more dimensions"),
    "gate": (_INNER, "How far each dimension is opened"),
    "activation": (_INNER, "Bent by a curve: no longer linear"),
    "gated": (_INNER, "What goes up, times the gate"),
    "down": (_TOKENS, "What the feed-forward part adds"),
    "sum after feed-forward": (_TOKENS, "The residual stream, with what is added"),
    "output": (_TOKENS, "What the block hands on"),
    "final norm": (_TOKENS, "Normed once more: the last hidden states"),
}


@dataclass(frozen=True, eq=False)
class Step:
    """One step inside a block, as computed here.

    Attributes:
        name: what it is called.
        formula: how it follows from the steps before.
        array: float32, its values.
        difference: the largest difference from what the model itself has there; None where the model does
            not show it, because it stands inside a function. The next step that is shown then proves it; but of a
            single token the probabilities are 1 whatever its score.
    """

    name: str
    formula: str
    array: Array
    difference: float | None

    @property
    def axes(self) -> str:
        """The names of the array's axes."""
        return _MEANINGS[self.name][0]

    @property
    def explanation(self) -> str:
        """What it is, in a few words."""
        return _MEANINGS[self.name][1]

    @property
    def scale(self) -> float:
        """The largest absolute value, −∞ of masked scores left out."""
        return float(np.abs(self.array[self.array != -np.inf]).max(initial=0))

    @property
    def relative(self) -> float | None:
        """The difference relative to the largest value; None where there is nothing to compare with."""
        if self.difference is None:
            return None
        if self.difference == 0:
            return 0.0
        return self.difference / self.scale if self.scale else float("inf")

    @property
    def lengths(self) -> Array:
        """The length (Euclidean norm) of each vector, of each token or, in heads, of each head and token."""
        return np.asarray(np.linalg.norm(self.array, axis=-1))


def step(name: str, formula: str, array: Array, theirs: Array | None = None) -> Step:
    """A step computed here, compared with the model's own where it is seen.

    Raises:
        ValueError: the two are not of the same shape.
    """
    if theirs is None:
        return Step(name, formula, array, None)
    if theirs.shape != array.shape:  # numpy would stretch one over the other
        raise ValueError(f"{name} is {array.shape} here and {theirs.shape} in the model")
    return Step(name, formula, array, float(np.abs(array - theirs).max(initial=0)))


def product(layer: Linear, x: str, name: str) -> str:
    """A linear layer as a formula: "x Wq + bq", without the bias where there is none."""
    return f"{x} W{name}" + ("" if layer.bias is None else f" + b{name}")


# The steps of a block; and those of a part of it, which gives back what comes out of it.
Steps = Iterator[Step]
Part = Generator[Step, None, Array]
