"""The query of a search: vectors as they are given, or made from a text by the features' own model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from layerscope.errors import InputError, brief
from layerscope.extraction.nearest import unit
from layerscope.extraction.stored import Stored
from layerscope.reduce.feature import Feature
from layerscope.reduce.pooling import UNPOOLED, Array

if TYPE_CHECKING:
    from layerscope.model import Model

Query = str | tuple[str, Any] | ArrayLike


def query_vectors(stored: Stored, name: str, query: Query, model: Model | None) -> Array:
    """float64 [width], or [query, width] of several, each of length 1."""
    is_text = isinstance(query, str) or (
        isinstance(query, tuple) and bool(query) and isinstance(query[0], str)
    )
    if is_text:
        if model is None:
            raise InputError(
                f"{query!r} needs the model that made these features, "
                f"{stored.manifest.about['model']['name']}: give model=."
            )
        query = _embedded(stored, name, query, model)
    given = _numbers(query)
    if model is not None and not is_text:
        raise InputError("The query is a vector already; model= is for a text.")
    width = stored.columns[name].width
    if given.ndim not in (1, 2) or given.size == 0:
        raise InputError(f"A query is [width] or [query, width]; this one is of shape {given.shape}.")
    if given.shape[-1] != width:
        raise InputError(f"The query is {given.shape[-1]} wide, and {name} is {width} wide.")
    if not np.isfinite(given).all():
        raise InputError("The query holds NaN or infinity, to which nothing is near.")
    scaled, lengths = unit(np.atleast_2d(given), np.float64)
    if not lengths.all():
        raise InputError("The query is a vector of zeros, which has no direction.")
    return scaled.reshape(given.shape)


def _numbers(query: Any) -> Array:
    """A query as float64 numbers, of whatever shape."""
    try:
        if np.asarray(query).dtype.kind not in "OUSV" and query is not None:
            return np.array(query, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        pass  # a list of vectors of several widths, or nothing that has numbers
    is_texts = isinstance(query, list | np.ndarray) and any(isinstance(one, str | tuple) for one in query)
    hint = " Search for several texts one by one." if is_texts else ""
    raise InputError(
        f"A query is a vector, several of one width, a text, or (text, word); not {brief(query)}.{hint}"
    )


def _embedded(stored: Stored, name: str, query: Any, model: Model) -> Array:
    """[width]: a text, a pair, or a word in its text, as the column has it of its rows."""
    _same_model(stored, model)
    column = stored.columns[name]
    parts = (query,) if isinstance(query, str) else query
    if not (len(parts) == 2 or (len(parts) == 1 and column.kind == "text")):
        what = "a text or a pair of texts" if column.kind == "text" else "(text, word), a word in its text"
        raise InputError(f"For {name} a query is a vector, or {what}; not {query!r}.")
    feature = Feature.parse(column.feature)
    layers = feature.resolve(model.num_layers)
    names = feature.columns(model.num_layers)
    if len(names) > 1:
        layers = (layers[names.index(name)],)
        feature = Feature(feature.pooling, str(layers[0]))
    text, second = (*parts, None)[:2]
    long = stored.manifest.settings["long_texts"]["long"]
    if feature.pooling in UNPOOLED:
        return model.run(text, layers=layers, long=long).vector(second, layers[0])
    return model.run(text, second, layers=layers, long=long).feature(feature)


def _same_model(stored: Stored, model: Model) -> None:
    from layerscope.extraction.identity import identity

    theirs, ours = stored.manifest.settings["model"], identity(model)
    differing = [field for field in theirs if theirs[field] != ours.get(field)]
    if differing:
        raise InputError(
            f"{model.name} is not the model of these features, {stored.manifest.about['model']['name']}: "
            f"its {differing[0]} is another. Load that one, or give a vector."
        )
