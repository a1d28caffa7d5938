"""Senses: the uses of one word, compared layer by layer."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from layerscope.analysis.uses import Use, Uses, uses_in_features, uses_in_texts
from layerscope.arguments import checked
from layerscope.errors import InputError
from layerscope.reduce.cosine import cosine
from layerscope.reduce.layers import resolve_layer
from layerscope.reduce.separation import separation, spread
from layerscope.result import Result
from layerscope.shown import counted, last_part
from layerscope.store.features import Features
from layerscope.text.labels import check_distinct

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from layerscope.model import Model

# Uses that a heat map has room for.
_MOST = 60


@dataclass(frozen=True, eq=False, repr=False)
class Senses(Uses, Result):
    """The n uses of one word in a corpus, and how alike they are at each layer; for its fields see `Uses`."""

    @property
    def is_labelled(self) -> bool:
        """Whether there are senses to tell apart: a label for each use, and one that several have."""
        labels = [use.label for use in self.uses]
        return labels[0] is not None and len(set(labels)) < len(labels)

    @property
    def names(self) -> tuple[str, ...]:
        """What the uses are called: by label and number in it, "river 1"; without labels "use 1"."""
        counted: Counter[str] = Counter()
        names = []
        for use in self.uses:
            kind = "use" if use.label is None else use.label
            counted[kind] += 1
            names.append(f"{kind} {counted[kind]}")
        return tuple(names)

    def contexts(self) -> pd.DataFrame:
        """One row a use, by its name: row of the corpus, and the word within what stands around it."""
        import pandas as pd

        places = {"row": [use.row for use in self.uses], "context": [use.context for use in self.uses]}
        return pd.DataFrame(places, index=pd.Index(self.names, name="use"))

    @checked
    def similarity(self, layer: int = -1) -> pd.DataFrame:
        """[use, use]: the cosine of every use with every other at a layer, labelled by `names`."""
        import pandas as pd

        vectors = self.vectors[:, self._position(layer)]
        names = pd.Index(self.names)
        return pd.DataFrame(cosine(vectors, vectors), index=names, columns=names)

    def table(self) -> pd.DataFrame:
        """One row a layer.

        With labels that several uses have: `silhouette`, the mean over the uses (Rousseeuw 1987; cosine distance; 0
        for the only use of a label); `accuracy`, the share of uses whose nearest other use has their label
        (leave-one-out; equally near ones share the vote, and the only use of a label is always wrong); `within` and
        `between`, the mean cosine of two uses with the same label and with different ones. Without labels, or where
        each use has its own: `mean`, `min` and `max` of the cosine of two uses.
        """
        return self._table.copy()

    @property
    def best(self) -> int:
        """The layer that tells the senses apart best: the highest silhouette; of equal ones the lower layer.

        Raises:
            InputError: there are no labels that several uses have.
        """
        if not self.is_labelled:
            raise InputError(
                "Which layer tells senses apart best is known only with labels= that several uses have."
            )
        return self.layers[int(self._table["silhouette"].argmax())]

    def to_dict(self) -> dict[str, Any]:
        """All but the vectors, as plain values."""
        return {
            "model": self.model,
            "word": self.word,
            "texts_without": self.texts_without,
            "uses_lost": self.uses_lost,
            "uses": [{"name": name, **asdict(use)} for name, use in zip(self.names, self.uses, strict=True)],
            "layers": self._table.reset_index().to_dict("records"),
            "best": self.best if self.is_labelled else None,
        }

    @checked
    def plot(self, ax: Axes | None = None) -> Axes:
        """Curves by layer: silhouette and accuracy; without labels the mean cosine, shaded from min to max."""
        from layerscope.plots.curves import curves

        table, bands = self._table, None
        lines = {"silhouette": "silhouette", "accuracy": "nearest use has the same label"}
        if not self.is_labelled:
            lines = {"mean": "mean"}
            bands = {"mean": (table["min"], table["max"])}
        return curves(
            {title: table[column] for column, title in lines.items()},
            title=self._title(),
            xlabel="layer (0 = embeddings)",
            ylabel="share, or silhouette" if self.is_labelled else "cosine of two uses, mean and range",
            bands=bands,
            ax=ax,
        )

    @checked
    def heat(self, ax: Axes | None = None, *, layer: int | None = None) -> Axes:
        """The similarity of the uses at a layer as a heat map with its numbers, uses of a label side by side.

        Args:
            ax: where to draw; a new figure if left out.
            layer: the best one if left out; without labels the last.

        Raises:
            InputError: more uses than such a figure has room for.
        """
        from layerscope.plots.heat import heat

        if len(self.uses) > _MOST:
            raise InputError(
                f"A heat map has room for {_MOST} uses; there are {len(self.uses):,}. Give fewer texts, or take the "
                "numbers as they are."
            )
        layer = self._chosen(layer)
        table = self.similarity(layer)
        labels = [use.label or "" for use in self.uses]
        order = sorted(range(len(labels)), key=lambda use: labels[use])
        # Down to the next tenth, since all uses of a word may be near to each other.
        low = min(np.floor(10 * table.to_numpy().min()) / 10, 0.9)
        return heat(table.iloc[order, order], f"{self._title()}, layer {layer}", ax, low=float(low))

    @cached_property
    def _table(self) -> pd.DataFrame:
        import pandas as pd

        if self.is_labelled:
            codes = np.unique([str(use.label) for use in self.uses], return_inverse=True)[1]
            rows = [separation(self.vectors[:, place], codes) for place in range(len(self.layers))]
        else:
            rows = [spread(self.vectors[:, place]) for place in range(len(self.layers))]
        return pd.DataFrame(rows, index=pd.Index(self.layers, name="layer"))

    def _position(self, layer: int) -> int:
        number = resolve_layer(layer, self.num_layers)
        if number not in self.layers:
            raise InputError(f"Layer {number} is not stored; there are {', '.join(map(str, self.layers))}.")
        return self.layers.index(number)

    def _chosen(self, layer: int | None) -> int:
        if layer is None:
            return self.best if self.is_labelled else self.layers[-1]
        return self.layers[self._position(layer)]

    _calls = ".table(), .contexts(), .similarity(), .plot(), .heat()"

    def _holds(self) -> str:
        return f"{self._title()}, {counted(len(self.layers), 'layer')}"

    def _title(self) -> str:
        labels = {use.label for use in self.uses}
        uses = (
            f"{counted(len(self.uses), 'use')} of “{self.word}”"
            + f" in {len(labels)} senses" * self.is_labelled
        )
        return f"{uses}, {last_part(self.model)}"


@checked
def senses(
    model: Model | Features,
    word: str,
    texts: Any = None,
    labels: Any = None,
    *,
    text: str | None = None,
    segment: str = "line",
    progress: bool | None = None,
) -> Senses:
    """Every use of a word in a corpus, with its vector at each layer; with labels, how well senses are told apart.

    A word is found as `Tokens.find` does: as written, or else ignoring case, in each text; every occurrence
    is a use. Only texts that have it pass through the network, and only the uses' vectors are kept. From a
    folder of features nothing passes: there the word must be one of the stored words, whole.

    Args:
        model: any model (of an encoder-decoder its encoder reads); or features with a column words@….
        word: a word or phrase.
        texts: a corpus, whatever `open_corpus` takes; None for features, which have their own.
        labels: the sense of each text's uses, as a list beside the texts, or as the name of a column.
        text: the column of texts, where there are several columns.
        segment: what a text is in text files: a "line", a "paragraph" or a "document".
        progress: show a bar on stderr; if left out, when that is a terminal or a notebook.

    Raises:
        InputError: the word is nowhere, or only once; labels that do not fit: not one for each text, none
            for a use, the same for all uses, or two that look alike.
        ModelError: the model gives NaN or infinity.

    >>> import layerscope as ls
    >>> uses = ls.samples.table().query("word == 'bank'")
    >>> found = ls.senses(ls.load(), "bank", uses, labels="sense", text="text")
    >>> found.vectors.shape, found.best
    ((6, 7, 384), 5)
    >>> found.table().loc[[0, 5]].round(2)
           silhouette  accuracy  within  between
    layer
    0           -0.09      0.33    0.97     0.97
    5            0.46      1.00    0.91     0.83
    """
    if isinstance(model, Features):
        if texts is not None or text is not None or segment != "line":
            raise InputError("Features have their own texts: leave texts=, text= and segment= out.")
        found = uses_in_features(model, word, labels)
    else:
        if texts is None:
            raise InputError(f"Give the texts in which to look for {word!r}: a list, a table, files.")
        found = uses_in_texts(model, word, texts, labels, text=text, segment=segment, progress=progress)
    _check(word, found.uses)
    return Senses(**vars(found))


def _check(word: str, uses: tuple[Use, ...]) -> None:
    if len(uses) < 2:
        raise InputError(
            f"{word!r} is there only once, in row {uses[0].row}: there is nothing to compare with."
        )
    labels = [use.label for use in uses if use.label is not None]
    if not labels:
        return
    check_distinct(labels, "label")
    counts = Counter(labels)
    if len(counts) == 1:
        raise InputError(
            f"All {len(uses):,} uses of {word!r} have the label {uses[0].label!r}; senses are told apart by two "
            "labels or more. Leave labels= out to compare the uses."
        )
