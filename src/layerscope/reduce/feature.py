"""A feature: which tokens, which layers, put together how; written `POOLING@LAYERS[/COMBINE]`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from layerscope.arguments import check, checked
from layerscope.errors import InputError, brief, unknown
from layerscope.reduce.layers import check_layers, resolve_layers
from layerscope.reduce.pooling import POOLER, UNPOOLED, Array, pooling_names

# Each takes [layer, hidden] and gives [hidden], or [layer × hidden] for concat.
COMBINES: dict[str, Callable[[Array], Array]] = {
    "mean": lambda vectors: np.asarray(vectors.mean(axis=0)),
    "max": lambda vectors: np.asarray(vectors.max(axis=0)),
    "sum": lambda vectors: np.asarray(vectors.sum(axis=0)),
    "concat": lambda vectors: np.asarray(vectors.reshape(-1)),
}

_GRAMMAR = re.compile(r"(?P<pooling>[^@/]+)@(?P<layers>[^@/]+)(?:/(?P<combine>[^@/]+))?")


@dataclass(frozen=True)
class Feature:
    """One feature of a text.

    Attributes:
        pooling: a pooling strategy, or "tokens" or "words" for every vector.
        layers: "all", a number, a range or a list of these, as written: negative ones need a model to resolve them.
        combine: None for one column a layer, or how several layers become one column.

    >>> Feature.parse("mean@-4:/concat").columns(12)
    ('mean_9to12_concat',)
    >>> Feature.parse("mean@0:3").columns(12)
    ('mean_0', 'mean_1', 'mean_2')
    >>> Feature.parse("mean@1,6,12/mean").columns(12)
    ('mean_1_6_12_mean',)
    """

    pooling: str
    layers: str = "-1"
    combine: str | None = None

    def __post_init__(self) -> None:
        check("pooling", self.pooling, "str")
        check("layers", self.layers, "str")
        check("combine", self.combine, "str", "None")
        if self.pooling not in (known := [*pooling_names(), *UNPOOLED]):
            raise unknown("pooling", self.pooling, known)
        check_layers(self.layers)
        if self.combine is not None and self.combine not in COMBINES:
            raise unknown("way to combine layers", self.combine, COMBINES)
        if self.combine is not None and self.pooling in (POOLER, *UNPOOLED):
            raise InputError(
                f"{self.pooling!r} cannot be combined over layers; write {self.pooling}@{self.layers}."
            )
        if self.pooling == POOLER and self.layers != "-1":
            raise InputError(
                f"The pooler reads the last layer only: write pooler@-1, not pooler@{self.layers}."
            )

    @classmethod
    def parse(cls, text: str) -> Feature:
        """Read `POOLING@LAYERS[/COMBINE]`; without `@LAYERS` it is the last layer.

        Raises:
            InputError: text that does not follow the grammar; the message says what would.
        """
        if not isinstance(text, str):
            raise InputError(f"A feature is written as text, such as mean@-1; not {brief(text)}.")
        written = text.strip() if "@" in text else re.sub(r"^([^/]*)", r"\1@-1", text.strip(), count=1)
        parts = _GRAMMAR.fullmatch(written)
        if parts is None:
            raise InputError(
                f"A feature is written POOLING@LAYERS or POOLING@LAYERS/COMBINE, such as mean@-1, cls@all or "
                f"mean@-4:/concat; not {text!r}."
            )
        return cls(**parts.groupdict())

    @checked
    def resolve(self, num_layers: int) -> tuple[int, ...]:
        """The layers that it reads in a model of this many blocks."""
        return resolve_layers(self.layers, num_layers)

    @checked
    def columns(self, num_layers: int) -> tuple[str, ...]:
        """The names of the columns that it gives for a model of this many blocks."""
        layers = self.resolve(num_layers)
        if self.combine is None:
            return tuple(f"{self.pooling}_{layer}" for layer in layers)
        is_range = layers == tuple(range(layers[0], layers[-1] + 1))
        named = f"{layers[0]}to{layers[-1]}" if is_range else "_".join(map(str, layers))
        return (f"{self.pooling}_{named}_{self.combine}",)

    @checked
    def width(self, num_layers: int, hidden_size: int) -> int:
        """How wide each of its columns is."""
        return hidden_size * (len(self.resolve(num_layers)) if self.combine == "concat" else 1)

    def __str__(self) -> str:
        return f"{self.pooling}@{self.layers}" + (f"/{self.combine}" if self.combine else "")
