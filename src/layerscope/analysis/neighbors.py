"""Neighbors: the rows of an embedding matrix that are nearest to a token, a word or a vector.

The matrix is what the model computes: with adapters, scaled, unpacked, whatever parameter lies below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from layerscope.arguments import checked
from layerscope.errors import InputError, ModelError, unknown
from layerscope.network.matrices import Matrix, are_tied, input_matrix, output_matrix
from layerscope.reduce.pooling import Array
from layerscope.result import Result
from layerscope.shown import last_part, shorten
from layerscope.text.encode import check_text

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from matplotlib.axes import Axes

    from layerscope.model import Model

MATRICES = ("input", "output")
METRICS = ("cosine", "dot")

# Characters of a name in a title.
_TITLE = 40

# Rows of the matrix that are multiplied at once.
_CHUNK = 8192


@dataclass(frozen=True, eq=False, repr=False)
class Neighbors(Result):
    """The k rows of an embedding matrix that are nearest to a query, the nearest first.

    Attributes:
        model: its name.
        query: what was asked for, in words: "the token ' to'", "the mean of …", "a vector".
        query_ids: the tokens that were meant; none for a vector.
        matrix: "input" for the matrix that tokens are looked up in, "output" for that of the head.
        metric: "cosine", or "dot" for the plain product (without the head's bias).
        tied: whether both matrices are one parameter, to which nothing is added; None where there is no head.
        computed_by: package and class of the module whose outputs the rows are, where that does more than to look up a
            parameter, or to multiply by it: adapters, a scale, quantisation; None where they are the parameter.
        ids: int64 [k], rows of the matrix.
        tokens: what each spells, as people read it.
        similarities: float64 [k].
        rows_unused: rows that belong to no token (padding of the matrix) and are left out.
        rows_of_zeros: rows that have no direction and are left out, by cosine only.
    """

    model: str
    query: str
    query_ids: tuple[int, ...]
    matrix: str
    metric: str
    tied: bool | None
    computed_by: str | None
    ids: NDArray[np.int64]
    tokens: tuple[str, ...]
    similarities: Array
    rows_unused: int
    rows_of_zeros: int

    def table(self) -> pd.DataFrame:
        """One row a neighbor: rank (from 1), token, id, similarity."""
        import pandas as pd

        columns = {"token": list(self.tokens), "id": self.ids, "similarity": self.similarities}
        return pd.DataFrame(columns, index=pd.RangeIndex(1, len(self.ids) + 1, name="rank"))

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        about = {
            name: value for name, value in vars(self).items() if name not in ("ids", "tokens", "similarities")
        }
        return about | {"neighbors": self.table().reset_index().to_dict("records")}

    @checked
    def plot(self, ax: Axes | None = None) -> Axes:
        """A bar for each neighbor, the nearest on top; tokens in quotes, since some begin with a space."""
        import pandas as pd

        from layerscope.plots.bars import bars

        name = last_part(self.model)
        return bars(
            pd.Series(self.similarities, index=[repr(token) for token in self.tokens]),
            title=f"nearest to {shorten(self.query, _TITLE)}: {shorten(name, _TITLE)}, {self.matrix} embeddings",
            xlabel="cosine" if self.metric == "cosine" else "dot product",
            ylabel="",
            ax=ax,
        )

    def _holds(self) -> str:
        where = f"the {self.matrix} matrix of {last_part(self.model)}, by {self.metric}"
        return f"the {len(self.ids)} nearest to {self.query} in {where}"


@checked
def neighbors(
    model: Model, query: str | int | ArrayLike, k: int = 10, matrix: str = "input", metric: str = "cosine"
) -> Neighbors:
    """The rows of an embedding matrix that are nearest to a query; its own row is among them.

    A string is read as the one token that it is exactly (" to" with its space, "##ing", "[CLS]"); else as the
    token with a space before it, a word in running text (byte-level and SentencePiece vocabularies); else as
    the tokens that the tokenizer splits it into, whose rows are averaged. `query` of the result says which.

    Args:
        model: any model.
        query: a string, the id of a token, or a vector as wide as the matrix: a hidden state, for instance.
        k: how many; all, if there are fewer.
        matrix: "input" or "output" (the head's).
        metric: "cosine" or "dot".

    Raises:
        InputError: a string that the tokenizer does not know, an id that no token has, a token without a row, a
            vector that does not fit.
        ModelError: the model has no head, or its weights are not in the checkpoint; or what stands in the place
            of the matrix is none.

    >>> import layerscope as ls
    >>> ls.neighbors(ls.load(), "ghost", k=3).table().round(2)
            token     id  similarity
    rank
    1       ghost   5745        1.00
    2      ghosts  11277        0.65
    3     ghostly  24407        0.55
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k is how many to find, 1 or more; not {k!r}.")
    if matrix not in MATRICES:
        raise unknown("matrix", matrix, MATRICES)
    if metric not in METRICS:
        raise unknown("metric", metric, METRICS)
    chosen, tied = _matrix(model, matrix)
    weights = chosen.rows
    used = _used(model, len(weights))
    ids, described = _meant(
        model, query, used, f"the {matrix} matrix of {model.name}, which has {len(weights):,}"
    )
    vector = _mean(weights, ids) if ids else _given(model, query, weights.shape[1], matrix)
    scores = _scores(weights, vector, metric, described)
    candidates = used[np.isfinite(scores[used])]
    nearest = candidates[np.argsort(-scores[candidates], kind="stable")[:k]]
    return Neighbors(
        model=model.name,
        query=described,
        query_ids=ids,
        matrix=matrix,
        metric=metric,
        tied=tied,
        computed_by=chosen.computed_by,
        ids=nearest,
        tokens=model.vocabulary.strings(nearest),
        similarities=scores[nearest],
        rows_unused=len(weights) - len(used),
        rows_of_zeros=len(used) - len(candidates),
    )


def _matrix(model: Model, matrix: str) -> tuple[Matrix, bool | None]:
    """The matrix, and whether input and output are one."""
    with model.lock:
        found = (input_matrix if matrix == "input" else output_matrix)(model.hf, model.name)
    tied = are_tied(model.hf)
    if matrix == "output" and model.untrained_head and not tied:
        raise ModelError(f"The head of {model.name} is not in the checkpoint: its rows would be noise.")
    return found, tied


def _used(model: Model, rows: int) -> NDArray[np.int64]:
    """The rows that belong to a token, ascending."""
    ids = np.unique(np.fromiter(model.tokenizer.get_vocab().values(), dtype=np.int64))
    return ids[ids < rows]


def _meant(model: Model, query: Any, used: NDArray[np.int64], rows: str) -> tuple[tuple[int, ...], str]:
    """The tokens that a query means, none for a vector, and what to say of it; `rows` names the matrix in errors."""
    if isinstance(query, str):
        ids = _read(model, query, used)
    elif isinstance(query, int | np.integer) and not isinstance(query, bool):
        ids = (int(query),)
    else:
        return (), "a vector"
    for one in ids:
        if one not in used:
            raise InputError(_no_row(model, one, rows))
    strings = model.vocabulary.strings(ids)
    if len(ids) == 1:
        return ids, f"the token {strings[0]!r}"
    return ids, f"the mean of the tokens {', '.join(map(repr, strings))}"


def _no_row(model: Model, one: int, rows: str) -> str:
    """Why an id has no row: no token has it, or one that was added to the tokenizer alone."""
    taken = set(model.tokenizer.get_vocab().values())
    if one not in taken:
        return f"{one} is the id of no token of {model.name}; its {len(taken):,} tokens have ids up to {max(taken)}."
    return (
        f"The token {model.vocabulary.strings([one])[0]!r} (id {one}) has no row in {rows}: it was added to the "
        "tokenizer, and the model was not resized (resize_token_embeddings)."
    )


def _read(model: Model, text: str, used: NDArray[np.int64]) -> tuple[int, ...]:
    """The tokens that a string means."""
    check_text(text, "The query")
    strings = model.vocabulary.strings(used)
    pieces = tuple(model.vocabulary.ids([text])[0])
    for reading in (text, f" {text}"):
        exact = [int(used[number]) for number, string in enumerate(strings) if string == reading]
        # Several tokens can spell the same, a byte and the letter that it is: rather the tokenizer's own choice,
        # or the token that is written so in the vocabulary.
        written = model.tokenizer.convert_tokens_to_ids(reading)
        for one in (*(pieces if len(pieces) == 1 else ()), written, *exact):
            if one in exact:
                return (one,)
    if not pieces:
        raise InputError(f"{text!r} has no tokens: {model.name}'s tokenizer makes nothing of it.")
    if model.tokenizer.unk_token_id in pieces:
        raise InputError(
            f"{model.name}'s tokenizer does not know {text!r}: it reads "
            f"{' '.join(model.vocabulary.strings(pieces))}."
        )
    return pieces


def _given(model: Model, query: Any, width: int, matrix: str) -> NDArray[np.float64]:
    """A query that is a vector, [width]."""
    try:
        vector = np.asarray(query, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        vector = np.empty(())
    if vector.ndim != 1:
        raise InputError(
            f"A query is a string, the id of a token, or one vector of {width} numbers; not {type(query).__name__}"
            f"{f' of shape {list(vector.shape)}' if vector.ndim else ''}."
        )
    if vector.shape != (width,):
        raise InputError(
            f"The query is {len(vector)} wide, and the {matrix} matrix of {model.name} is {width} wide; its hidden "
            f"size is {model.hidden_size}."
        )
    if not np.isfinite(vector).all():
        raise InputError("The query holds NaN or infinity, to which nothing is near.")
    return vector


def _mean(weights: torch.Tensor, ids: tuple[int, ...]) -> NDArray[np.float64]:
    return np.asarray(weights[list(ids)].double().mean(dim=0).cpu().numpy())


def _scores(
    weights: torch.Tensor, vector: NDArray[np.float64], metric: str, described: str
) -> NDArray[np.float64]:
    """[row]: how near each row is to the vector; NaN, by cosine, for a row of zeros."""
    if metric == "cosine":
        length = np.linalg.norm(vector)
        if length == 0:
            raise InputError(f"By cosine nothing is near to zeros, which {described} is: use metric='dot'.")
        vector = vector / length
    parts = []
    for start in range(0, len(weights), _CHUNK):
        rows = weights[start : start + _CHUNK].double().cpu().numpy()
        products = rows @ vector
        if not np.isfinite(products).all():
            row = start + int(np.flatnonzero(~np.isfinite(products))[0])
            raise ModelError(f"Row {row} of the matrix holds NaN or infinity.")
        if metric == "cosine":
            lengths = np.linalg.norm(rows, axis=1)
            nan = np.full(len(rows), np.nan)
            products = np.clip(np.divide(products, lengths, out=nan, where=lengths > 0), -1, 1)
        parts.append(products)
    return np.concatenate(parts)
