"""Drift: how far the vectors of texts move from their static embeddings, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from layerscope.arguments import checked
from layerscope.corpus.corpus import open_corpus
from layerscope.engine.column_values import NOT_FINITE
from layerscope.engine.stream import ROWS, Streamed, stream
from layerscope.engine.supported import check_features
from layerscope.errors import InputError, ModelError, unknown
from layerscope.progress import shown
from layerscope.reduce.cosine import cosine_of_pairs
from layerscope.reduce.feature import Feature
from layerscope.reduce.finite import check_finite
from layerscope.reduce.pooling import POOLER, Array, check_pooling
from layerscope.result import Result
from layerscope.shown import counted, last_part, shorten

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from layerscope.corpus.rows import Rows
    from layerscope.model import Model

# What each text's vector of a layer is compared with.
AGAINST = {"static": "the static embeddings (layer 0)", "previous": "the layer before"}

# Of a text that names itself, so many characters.
_NAME = 60


@dataclass(frozen=True, eq=False, repr=False)
class Drift(Result):
    """How n texts move through the layers 1 to L of a model.

    Attributes:
        model: its name.
        pooling: how the tokens of a text became one vector.
        names: what each text is called.
        static: float32 [text, L], the cosine of layer k with layer 0, the static embeddings; column k-1 is layer k.
        previous: float32 [text, L], the cosine of layer k with layer k-1.
        pooler: float32 [text], the cosine of [CLS] in layer 0 with the pooler output; None where the model has
            no trained pooler, or its tokenizer no [CLS].
    """

    model: str
    pooling: str
    names: tuple[str, ...]
    static: Array
    previous: Array
    pooler: Array | None

    def table(self) -> pd.DataFrame:
        """One row a text and layer: columns text, layer, static, previous."""
        import pandas as pd

        texts, layers = self.static.shape
        return pd.DataFrame(
            {
                "text": np.repeat(np.array(self.names, dtype=object), layers),
                "layer": np.tile(np.arange(1, layers + 1), texts),
                "static": self.static.reshape(-1),
                "previous": self.previous.reshape(-1),
            }
        )

    @checked
    def summary(self, against: str = "static") -> pd.DataFrame:
        """One row a layer: count, mean, standard deviation and quartiles over the texts.

        Args:
            against: "static" for the cosine with layer 0, "previous" for that with the layer before.
        """
        import pandas as pd

        values = self._against(against)
        return _described(values).set_index(pd.Index(range(1, values.shape[1] + 1), name="layer"))

    def pooler_summary(self) -> pd.DataFrame:
        """One row: the cosine of static [CLS] with the pooler output, described as in `summary`.

        Raises:
            InputError: there is none.
        """
        if self.pooler is None:
            raise InputError(f"{self.model} has no trained pooler, or its tokenizer no [CLS].")
        return _described(self.pooler[:, None]).set_axis(["[CLS] to pooler"])

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "model": self.model,
            "pooling": self.pooling,
            "texts": list(self.names),
            "static": self.static.tolist(),
            "previous": self.previous.tolist(),
            "pooler": None if self.pooler is None else self.pooler.tolist(),
        }

    @checked
    def plot(self, ax: Axes | None = None, *, against: str = "static") -> Axes:
        """Violins: for each layer how the texts are spread; the line inside joins the medians.

        Args:
            ax: where to draw; a new figure if left out.
            against: "static" for the cosine with layer 0, "previous" for that with the layer before.
        """
        from layerscope.plots.violins import violins

        values = self._against(against)
        steps = range(1, values.shape[1] + 1)
        return violins(
            {str(k) if against == "static" else f"{k - 1}→{k}": values[:, k - 1] for k in steps},
            title=f"{last_part(self.model)}: {counted(len(self.names), 'text')}, {self.pooling} pooling",
            xlabel="layer" if against == "static" else "step",
            ylabel=f"cosine with {AGAINST[against]}",
            ax=ax,
        )

    _calls = ".table(), .summary(), .plot()"

    def _holds(self) -> str:
        texts, layers = self.static.shape
        return f"{counted(texts, 'text')}, layers 1 to {layers} of {last_part(self.model)}, {self.pooling} pooling"

    def _against(self, against: str) -> Array:
        if against not in AGAINST:
            raise unknown("side to compare with", against, AGAINST)
        return self.static if against == "static" else self.previous


@checked
def drift(
    model: Model,
    texts: Any,
    pooling: str = "mean",
    *,
    text: str | None = None,
    id: str | None = None,
    segment: str = "line",
    long: str = "window",
    progress: bool | None = None,
) -> Drift:
    """How each text's vector moves through the layers: its cosine with the static embedding, and layer to layer.

    The texts pass in batches, and of each only its cosines are kept, so that any number of them fits.

    Args:
        model: any model.
        texts: texts, a table, files: whatever `open_corpus` takes.
        pooling: how the tokens of a text become one vector; special tokens are pooled with the others.
        text: the column of texts, where there are several columns.
        id: a column that names the texts; without it they are named by their beginning.
        segment: what a text is in text files: a "line", a "paragraph" or a "document".
        long: what to do with texts longer than the context window: "window", "cut" or "error". For a text in
            several windows `pooler` is NaN, and pooling="cls" an error: there is no [CLS] of the whole.
        progress: show a bar on stderr; if left out, when that is a terminal or a notebook.

    Raises:
        InputError: no texts, or one that cannot be run.
        ModelError: a pooling that the model does not give; or it gives NaN or infinity.

    >>> import layerscope as ls
    >>> found = ls.drift(ls.load(), ["Seeing is believing.", "A ghost."])
    >>> found.static.shape, bool((found.static[:, -1] < found.static[:, 0]).all())
    ((2, 6), True)
    """
    corpus = open_corpus(texts, text=text, id=id, segment=segment)
    if corpus.has_pairs:
        raise InputError("Drift is of single texts; these are pairs.")
    check_pooling(pooling)
    if pooling == POOLER:
        raise InputError(f"Drift needs a pooling that every layer has, such as mean; not {pooling!r}.")
    every = Feature(pooling, "all")
    check_features(model, [every])
    ends = _ends(model)
    features = [every, *(end for end in ends if end.pooling != pooling)]
    names: list[str] = []
    static, previous, pooler = [], [], []
    with shown(progress, corpus.count, what="Drift") as bar:
        for block in stream(model, corpus.chunks(ROWS), features, long=long, passed=bar.passed):
            layers = np.stack([block.values(name) for name in every.columns(model.num_layers)], axis=1)
            static.append(cosine_of_pairs(layers[:, :1], layers[:, 1:]))
            previous.append(cosine_of_pairs(layers[:, :-1], layers[:, 1:]))
            if ends:
                pooler.append(_to_pooler(block, *(end.columns(model.num_layers)[0] for end in ends)))
            names += _names(block.rows, id)
    if not names:
        raise InputError(f"There is nothing to compare: {corpus.name} has no texts.")
    return Drift(
        model=model.name,
        pooling=pooling,
        names=tuple(names),
        static=np.concatenate(static),
        previous=np.concatenate(previous),
        pooler=np.concatenate(pooler) if pooler else None,
    )


def _ends(model: Model) -> tuple[Feature, ...]:
    """The static [CLS] and the pooler output, if the model has both."""
    ends = (Feature("cls", "0"), Feature(POOLER))
    try:
        check_features(model, ends)
    except ModelError:
        return ()
    return ends


def _to_pooler(block: Streamed, static: str, pooler: str) -> Array:
    """[text], NaN for texts in several windows."""
    first, last = (np.asarray(block.columns[name].values) for name in (static, pooler))
    without = [row for row, why in block.columns[pooler].empty.items() if why != NOT_FINITE]
    whole = np.setdiff1d(np.arange(len(first)), without)
    for values, what in ((first, "[CLS] at layer 0"), (last, "the pooler output")):
        check_finite(values[whole], (f"Row {block.rows.start + row} of the corpus: {what}" for row in whole))
    found = np.full(len(first), np.nan, dtype=np.float32)
    found[whole] = cosine_of_pairs(first[whole], last[whole])
    return found


def _names(rows: Rows, id: str | None) -> Iterable[str]:
    """What the texts of some rows are called."""
    if id is not None:
        return map(str, rows.kept.column(id).to_pylist())
    texts = (one if isinstance(one, str) else one.text for one in rows.texts)
    return (shorten(" ".join(text.split()), _NAME) for text in texts)


def _described(values: Array) -> pd.DataFrame:
    """How many, mean, standard deviation and quartiles of each column of values [text, column], NaN left out."""
    import pandas as pd

    return pd.DataFrame(values.astype(np.float64)).describe().T.astype({"count": int})
