"""Naming layers: 0 is the embedding output, 1 to n the blocks, negative from the end."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from layerscope.arguments import check
from layerscope.errors import InputError

Layers = int | str | Iterable[int]

_SLICE = re.compile(r"(-?\d+)?:(-?\d+)?")
_NUMBER = re.compile(r"-?\d+")


def resolve_layer(layer: int, num_layers: int) -> int:
    """The layer counted from 0, of 0…num_layers.

    >>> resolve_layer(-1, 12)
    12
    """
    check("layer", layer, "int")
    if not -num_layers - 1 <= layer <= num_layers:
        raise InputError(
            f"Layer {layer} does not exist: this model has layers 0 (embeddings) to {num_layers}, "
            f"or -1 to {-num_layers - 1} from the end."
        )
    return int(layer) % (num_layers + 1)


def resolve_layers(layers: Layers, num_layers: int) -> tuple[int, ...]:
    """Layers counted from 0, in ascending order, each once.

    Args:
        layers: "all"; a number; numbers; or, as text, a number ("8", "-1"), a half-open range ("-4:", "0:6") as
            Python slices count, or several of these with commas ("0,6,-2:").

    >>> resolve_layers("-4:", 12), resolve_layers([12, 0], 12), resolve_layers("0,6,-2:", 12)
    ((9, 10, 11, 12), (0, 12), (0, 6, 11, 12))
    """
    if isinstance(layers, str):
        return _parse(layers.strip(), num_layers)
    if isinstance(layers, Iterable) and getattr(layers, "shape", None) != ():
        return tuple(sorted({resolve_layer(layer, num_layers) for layer in layers}))
    return (resolve_layer(layers, num_layers),)  # type: ignore[arg-type]  # an array of no axis is a number


def resolve_sides(layers: Layers, encoder: int, decoder: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The layers of an encoder and of a decoder that may be deeper or less deep; negative ones from each one's end.

    A layer that only one of them has is taken there; one that neither has is an error.

    >>> resolve_sides([1, 5, -1], encoder=3, decoder=6)
    ((1, 3), (1, 5, 6))
    """
    asked = [layers] if isinstance(layers, str) or not isinstance(layers, Iterable) else list(layers)
    sides: tuple[set[int], set[int]] = (set(), set())
    for one in asked:
        errors = []
        for side, depth in zip(sides, (encoder, decoder), strict=True):
            try:
                side |= set(resolve_layers(one, depth))
            except InputError as error:
                errors.append(error)
        if len(errors) == len(sides):
            raise errors[0 if encoder >= decoder else 1]
    return tuple(sorted(sides[0])), tuple(sorted(sides[1]))


def listed(layers: Sequence[int]) -> str:
    """Layers as a sentence names them: "1 to 6", "3, 6", "none"."""
    if len(layers) > 2 and list(layers) == list(range(layers[0], layers[-1] + 1)):
        return f"{layers[0]} to {layers[-1]}"
    return ", ".join(map(str, layers)) or "none"


def check_layers(text: str) -> str:
    """The text of layers, if it is well formed; whether a model has them is known only with the model."""
    if text == "all" or all(
        _NUMBER.fullmatch(one) or (":" in one and _SLICE.fullmatch(one)) for one in _items(text)
    ):
        return text
    raise InputError(
        f"Layers are written 'all', a number (8, -1), a range (-4:, 0:6) or a list (1,6,12), not {text!r}."
    )


def _parse(text: str, num_layers: int) -> tuple[int, ...]:
    check_layers(text)
    if text == "all":
        return tuple(range(num_layers + 1))
    return tuple(sorted({layer for one in _items(text) for layer in _range(one, num_layers)}))


def _items(text: str) -> list[str]:
    return [one.strip() for one in text.split(",")]


def _range(text: str, num_layers: int) -> tuple[int, ...]:
    if _NUMBER.fullmatch(text):
        return (resolve_layer(int(text), num_layers),)
    start, stop = (int(part) if part else None for part in text.split(":"))
    chosen = tuple(range(num_layers + 1)[start:stop])
    bounds = [bound for bound in (start, stop) if bound is not None]
    if not chosen or any(abs(bound) > num_layers + 1 for bound in bounds):
        raise InputError(f"The range {text!r} does not lie in this model's layers, 0 to {num_layers}.")
    return chosen
