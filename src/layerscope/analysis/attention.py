"""Attention, summed up: what attends to what most, how each head attends, and all heads of a layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from layerscope.arguments import checked
from layerscope.corpus.corpus import open_corpus
from layerscope.engine.stream import ROWS
from layerscope.errors import InputError, brief, unknown
from layerscope.progress import shown
from layerscope.reduce.attention import one_head, units, which_heads, without_sink
from layerscope.reduce.finite import check_finite
from layerscope.reduce.heads import MEASURES, measures
from layerscope.reduce.layers import resolve_layer
from layerscope.reduce.pooling import Array
from layerscope.result import Result
from layerscope.shown import counted, last_part
from layerscope.text.encode import check_text
from layerscope.text.tokens import Tokens

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from layerscope.corpus.corpus import Corpus
    from layerscope.model import Model
    from layerscope.trace import Trace

Item = TypeVar("Item")

# Numbers of attention that are in memory at once (64 MB), but for a text that has more by itself.
_NUMBERS = 2**24


@dataclass(frozen=True, eq=False, repr=False)
class Partners(Result):
    """What each token or word of a text attends to most, layer by layer.

    Attributes:
        model: the model's name.
        unit: "token" or "word".
        head: which head, from 0, or "max" or "mean" over the heads.
        rows: as in `table`.
    """

    model: str
    unit: str
    head: int | str
    rows: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """One row a layer and unit: layer, position, from, to_position, to, weight.

        A position is the number of the row, or column, in the table of `trace.attention`, from 0.
        """
        return self.rows.copy()

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        about = {"model": self.model, "unit": self.unit, "head": self.head}
        return about | {"partners": self.rows.to_dict("records")}

    @checked
    def plot(self, ax: Axes | None = None) -> Axes:
        """For every unit (across) and layer (up) the one that it attends to most, the darker the more.

        Bold is what it attends to in the last layer too.
        """
        over = which_heads(self.head)
        title = f"{last_part(self.model)}: what each {self.unit} attends to most ({over})"
        return draw_partners(self.rows, title, ax)

    def _holds(self) -> str:
        units, layers = self.rows["position"].nunique(), self.rows["layer"].nunique()
        most = f"what each of {counted(units, self.unit)} attends to most"
        return f"{most} in {counted(layers, 'layer')} of {last_part(self.model)}"


@checked
def partners(trace: Trace, unit: str = "word", head: int | str = "max", specials: bool = False) -> Partners:
    """For each token or word of a text the one that it attends to most, in every layer that was kept.

    Args:
        trace: run with attention=True; of an encoder-decoder the encoder is taken.
        unit: "token" or "word"; the pieces of a word are merged before heads are put together.
        head: one head, from 0, or "max" (the strongest head) or "mean" over all.
        specials: whether special tokens take part. Without them, a decoder's first token is left out too where
            no special token stands before it: attention that is not needed goes there (Xiao et al. 2023).

    Raises:
        InputError: an unknown unit or head.
        ModelError: the trace has no attention, or one that holds NaN or infinity.

    >>> import layerscope as ls
    >>> trace = ls.load().run("Then I tried to find some way.", attention=True)
    >>> ls.partners(trace).table().head(3).round(2)
       layer  position   from  to_position    to  weight
    0      1         1   Then            1  Then    0.28
    1      1         2      I            1  Then    1.00
    2      1         3  tried            2     I    1.00
    """
    import pandas as pd

    rows = units(trace.tokens, unit)
    if trace.kind == "decoder":
        rows = without_sink(rows)
    own = np.arange(len(rows.labels)) if specials else np.flatnonzero(rows.is_word)
    labels = np.array(rows.labels, dtype=object)[own]
    tables = []
    _ = trace.attentions  # says why where there is none
    for layer in trace.attention_layers["attentions"]:
        weights = trace.attention(layer, head, unit).to_numpy()[np.ix_(own, own)]
        check_finite(weights, (f"The attention of {brief(label)} at layer {layer}" for label in labels))
        best = weights.argmax(axis=1) if len(own) else own
        one = {"layer": layer, "position": own, "from": labels}
        other = {"to_position": own[best], "to": labels[best]}
        tables.append(pd.DataFrame(one | other | {"weight": weights[np.arange(len(own)), best]}))
    return Partners(trace.model, unit, head, pd.concat(tables, ignore_index=True))


def draw_partners(rows: pd.DataFrame, title: str, ax: Axes | None = None) -> Axes:
    """Rows as of `Partners.table` as a grid of layers and units.

    Raises:
        InputError: there are no units, or more than can be read in one figure.
    """
    from layerscope.plots.grid import token_grid

    if rows.empty:
        raise InputError("The text has no words of its own, so there is no attention to draw.")
    to, weight = (rows.pivot(index="layer", columns="position", values=one) for one in ("to", "weight"))
    labels = rows.drop_duplicates("position").sort_values("position")["from"]
    return token_grid(
        to, weight.to_numpy(), list(labels), title=title, xlabel="from", meaning="attention", ax=ax
    )


@dataclass(frozen=True, eq=False, repr=False)
class LayerAttention(Result):
    """The attention of all heads of one layer.

    Attributes:
        model: the model's name.
        layer: the block, from 1.
        unit: "token" or "word".
        labels: [n], the tokens or words.
        weights: float32 [head, query, key]; rows sum to 1.
    """

    model: str
    layer: int
    unit: str
    labels: tuple[str, ...]
    weights: Array

    _calls = ".table(), .plot(), .plot(head=0); trace.attention(layer, head) is one head"

    def table(self) -> pd.DataFrame:
        """One row a head, query and key: head, query_position, query, key_position, key, weight.

        One head as a table of queries and keys is `trace.attention(layer, head, unit)`.
        """
        import pandas as pd

        head, query, key = (place.reshape(-1) for place in np.indices(self.weights.shape))
        labels = np.array(self.labels, dtype=object)
        columns = {"head": head, "query_position": query, "query": labels[query]}
        columns |= {"key_position": key, "key": labels[key], "weight": self.weights.reshape(-1)}
        return pd.DataFrame(columns)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        about = {"model": self.model, "layer": self.layer, "unit": self.unit}
        return about | {"labels": list(self.labels), "weights": self.weights.tolist()}

    @checked
    def plot(self, ax: Axes | None = None, *, head: int | str | None = None) -> Axes:
        """A map for every head side by side, or one with its numbers: queries down, keys across.

        Args:
            ax: where to draw; a new figure if left out.
            head: a head, from 0, or "mean" or "max" over all.
        """
        from layerscope.plots.attention import attention_heads
        from layerscope.plots.heat import heat

        title = f"{last_part(self.model)}, layer {self.layer}"
        if head is None:
            return attention_heads(self.weights, self.labels, f"{title}: every {self.unit} attends to …", ax)
        return heat(self._of_head(head), f"{title}, {which_heads(head)}", ax, meaning="attention")

    def _preview(self) -> pd.DataFrame:
        """The mean over the heads; of a long text the table has many millions of rows."""
        return self._of_head("mean")

    def _of_head(self, head: int | str) -> pd.DataFrame:
        """[query, key] of one head, or of all together."""
        import pandas as pd

        rows, columns = (pd.Index(self.labels, name=name) for name in ("query", "key"))
        return pd.DataFrame(one_head(self.weights, head), index=rows, columns=columns)

    def _holds(self) -> str:
        heads, units = len(self.weights), counted(len(self.labels), self.unit)
        return f"{counted(heads, 'head')} of layer {self.layer} of {last_part(self.model)}, {units}"


@checked
def attention(trace: Trace, layer: int = -1, unit: str = "token") -> LayerAttention:
    """The attention of all heads of one layer, to look at them side by side.

    Args:
        trace: run with attention=True; of an encoder-decoder the encoder is taken.
        layer: the block, from 1, or negative from the end.
        unit: "token" or "word".

    Raises:
        InputError: a layer without attention, an unknown unit, or a text without tokens.
        ModelError: the trace has no attention, or one that holds NaN or infinity.

    >>> import layerscope as ls
    >>> found = ls.attention(ls.load().run("Seeing is believing.", attention=True), layer=3)
    >>> found.weights.shape
    (12, 6, 6)
    >>> found.table().query("query == 'is'").nlargest(1, "weight")[["head", "key"]].values.tolist()
    [[7, '[CLS]']]
    """
    heads = trace.attentions.shape[1]
    if not len(trace.tokens):
        raise InputError("The text has no tokens, so there is no attention to look at.")
    weights = [trace.attention(layer, head, unit).to_numpy() for head in range(heads)]
    number = resolve_layer(layer, trace.num_layers)
    check_finite(
        np.stack(weights), (f"The attention of layer {number}, head {head}," for head in range(heads))
    )
    return LayerAttention(trace.model, number, unit, units(trace.tokens, unit).labels, np.stack(weights))


@dataclass(frozen=True, eq=False, repr=False)
class Heads(Result):
    """How each head attends, on average over the tokens of some texts.

    Attributes:
        model: the model's name.
        texts: how many were read.
        queries: how many tokens the averages are over: all of the texts' own, special ones left out.
        layers: the layers that have attention.
        values: float64 [measure, layer, head], in the order of `reduce.heads.MEASURES` and of `layers`.
    """

    model: str
    texts: int
    queries: int
    layers: tuple[int, ...]
    values: NDArray[np.float64]

    def table(self) -> pd.DataFrame:
        """One row a head: layer, head, entropy, distance, special, first, self, previous, next."""
        import pandas as pd

        heads = self.values.shape[-1]
        columns = dict(zip(MEASURES, self.values.reshape(len(MEASURES), -1), strict=True))
        layer, head = np.repeat(self.layers, heads), np.tile(np.arange(heads), len(self.layers))
        return pd.DataFrame({"layer": layer, "head": head, **columns})

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        about = {"model": self.model, "texts": self.texts, "queries": self.queries}
        return about | {"heads": self.table().to_dict("records")}

    @checked
    def plot(self, ax: Axes | None = None, *, measure: str = "entropy") -> Axes:
        """One measure as a heat map, layers down, heads across."""
        from layerscope.plots.attention import layers_by_heads

        if measure not in MEASURES:
            raise unknown("measure", measure, MEASURES)
        table = self.table().pivot(index="layer", columns="head", values=measure)
        high = float(table.to_numpy().max()) if measure in ("entropy", "distance") else 1.0
        title = f"{last_part(self.model)}, {counted(self.texts, 'text')}"
        return layers_by_heads(table, title, MEASURES[measure], high, ax)

    def _holds(self) -> str:
        over = f"{counted(self.texts, 'text')}, {counted(self.queries, 'token')}"
        return f"how {counted(self.values[0].size, 'head')} of {last_part(self.model)} attend, over {over}"


@checked
def heads(
    model: Model,
    texts: Any,
    *,
    text: str | None = None,
    segment: str = "line",
    long: str = "window",
    progress: bool | None = None,
) -> Heads:
    """How each head attends: spread or pointed, near or far, to special tokens, to neighbors.

    Each token of the texts is a query and counts once; special tokens are left out as queries, since they are the
    template's, but attention to them counts. Measures as in Clark et al. 2019 (https://arxiv.org/abs/1906.04341)
    and Kovaleva et al. 2019 (https://arxiv.org/abs/1908.08593): entropy in nats; distance in tokens; shares of the
    attention to all special tokens, to the first token, to itself, to the token before and to the one after. The
    texts pass in turn, so that any number of them fits.

    Args:
        model: any model; of an encoder-decoder the encoder is measured.
        texts: texts, pairs, a table, files: whatever `open_corpus` takes.
        text: the column of texts, where there are several columns.
        segment: what a text is in text files: a "line", a "paragraph" or a "document".
        long: "window" or "error" refuse a text that does not fit the context window; "cut" cuts it.
        progress: show a bar on stderr; if left out, when that is a terminal or a notebook.

    Raises:
        InputError: no texts, or one that cannot be run.

    >>> import layerscope as ls
    >>> found = ls.heads(ls.load(), ["Seeing is believing.", "Then I tried to find some way."])
    >>> found.queries, found.values.shape
    (12, (7, 6, 12))
    >>> found.table().nlargest(1, "next")[["layer", "head", "next"]].round(2)
        layer  head  next
    20      2     8  0.83
    """
    corpus = open_corpus(texts, text=text, segment=segment)
    count = queries = 0
    layers: tuple[int, ...] = ()
    sums = np.zeros(())
    with shown(progress, corpus.count, what="Measuring") as bar:
        for trace, _ in attended(model, ((tokens, None) for tokens in _tokenised(model, corpus)), long):
            check_finite(
                trace.attentions, (f"The attention of text {count}, layer {k}," for k in trace.layers)
            )
            found = measures(trace.attentions, trace.tokens.special_mask)
            sums, layers = sums + found.sum(axis=-1), trace.attention_layers["attentions"]
            count, queries = count + 1, queries + found.shape[-1]
            bar.passed(1, len(trace.tokens))
    if not queries:
        raise InputError(f"There is nothing to measure: {corpus.name} has no texts with tokens of their own.")
    return Heads(model.name, count, queries, layers, sums / queries)


def attended(
    model: Model, items: Iterable[tuple[Tokens, Item]], long: str = "error"
) -> Iterator[tuple[Trace, Item]]:
    """Tokens, each with what belongs to it, run with attention in order; only some traces are in memory at once."""
    waiting: list[tuple[Tokens, Item]] = []
    numbers = 0

    def run() -> Iterator[tuple[Trace, Item]]:
        traces = model.run_many([tokens for tokens, _ in waiting], layers="1:", attention=True, long=long)
        yield from zip(traces, (item for _, item in waiting), strict=True)

    for tokens, item in items:
        size = (
            min(len(tokens), model.context_window or len(tokens)) ** 2
            * model.num_layers
            * (model.num_heads or 1)
        )
        if waiting and numbers + size > _NUMBERS:
            yield from run()
            waiting, numbers = [], 0
        waiting.append((tokens, item))
        numbers += size
    yield from run()


def _tokenised(model: Model, corpus: Corpus) -> Iterator[Tokens]:
    for rows in corpus.chunks(ROWS):
        for number, (text, pair) in enumerate(
            zip(rows.texts, rows.pairs or [None] * len(rows), strict=True), start=rows.start
        ):
            check_text(text if pair is None else (text, pair), f"Text {number}")
            yield model.tokenize(text, pair)
