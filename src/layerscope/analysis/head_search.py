"""The search for heads: which attention head attends along which dependency relation of a treebank."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from itertools import islice
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from layerscope.analysis.attention import attended
from layerscope.analysis.dependencies import OFFSETS, Counts, Tally, asked_of_heads, dependencies
from layerscope.arguments import check_count, checked
from layerscope.corpus.conllu import Sentence, read_conllu
from layerscope.errors import InputError, brief, unknown
from layerscope.progress import shown
from layerscope.reduce.heads import DIRECTIONS
from layerscope.reduce.layers import listed
from layerscope.result import Result
from layerscope.shown import counted, last_part

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from layerscope.model import Model

# All relations together.
ALL = "all"

Shares = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class HeadSearch(Result):
    """How well each attention head finds head words, relation by relation.

    Attributes:
        model: its name.
        is_causal: whether its words can attend to earlier words only.
        sentences: how many were searched.
        too_long: how many more were left out because they do not fit the context window.
        minimum: how many dependents a relation must have, for each direction.
        rare: how many relations were left out because they have fewer.
        relations: [relation], "all" and then by how often they are there.
        total: int64 [relation], the dependents in the treebank.
        counts: int64 [direction, relation], those that were asked about, in the order of `DIRECTIONS`.
        layers: the layers that have attention.
        accuracy: float64 [direction, relation, layer, head], the share of them for which the head is right, in the
            order of `layers`. NaN where they are fewer than `minimum`.
        offsets: int64 [direction, relation], the one fixed distance from dependent to head word that is right most
            often.
        baseline: float64 [direction, relation], the share for which it is right.
    """

    model: str
    is_causal: bool
    sentences: int
    too_long: int
    minimum: int
    rare: int
    relations: tuple[str, ...]
    total: Counts
    counts: Counts
    layers: tuple[int, ...]
    accuracy: Shares
    offsets: Counts
    baseline: Shares

    def table(self) -> pd.DataFrame:
        """One row a relation: the head that is right most often, of both directions.

        Columns relation, total, direction, count, layer, head, accuracy, offset, baseline; the last two are the best
        fixed offset and its accuracy on the same dependents.
        """
        import pandas as pd

        return pd.DataFrame(map(self._best, range(len(self.relations))))

    @checked
    def head(self, layer: int, head: int) -> pd.DataFrame:
        """What one head does: a row a relation and direction, the most accurate first; columns as in `table`."""
        import pandas as pd

        heads = self.accuracy.shape[-1]
        if layer not in self.layers or head not in range(heads):
            raise InputError(
                f"There is no head {head} of layer {layer}: layers are {listed(self.layers)}, heads 0 to {heads - 1}."
            )
        rows = [
            self._row(number, direction, self.layers.index(layer), head)
            for number in range(len(self.relations))
            for direction in range(len(DIRECTIONS))
            if self.counts[direction, number] >= self.minimum
        ]
        return pd.DataFrame(rows).sort_values("accuracy", ascending=False, ignore_index=True)

    @property
    def notes(self) -> tuple[str, ...]:
        """What one should know before reading the numbers."""
        found = []
        if self.rare:
            fewer = f"with fewer than {counted(self.minimum, 'dependent')}"
            found.append(f"{counted(self.rare, 'relation')} {fewer} {_are(self.rare)} left out.")
        if self.too_long:
            fit = "does not fit" if self.too_long == 1 else "do not fit"
            found.append(
                f"{counted(self.too_long, 'sentence')} {fit} the context window and {_are(self.too_long)} left out."
            )
        if self.is_causal:
            found.append(
                f"Words of {self.model} attend to earlier words only: from the dependent, only head words before "
                "it are asked about, from the head word only dependents before it; count says how many of total."
            )
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        arrays = ("total", "counts", "accuracy", "offsets", "baseline")
        return {
            "model": self.model,
            "sentences": self.sentences,
            "too_long": self.too_long,
            "minimum": self.minimum,
            "rare": self.rare,
            "notes": list(self.notes),
            "best": self.table().to_dict("records"),
            "layers": list(self.layers),
            "relations": list(self.relations),
            "directions": list(DIRECTIONS),
            **{name: getattr(self, name).tolist() for name in arrays},
        }

    @checked
    def plot(self, ax: Axes | None = None, *, relation: str = ALL, direction: str | None = None) -> Axes:
        """The accuracy of every head for one relation, layers down, heads across.

        Args:
            ax: where to draw; a new figure if left out.
            relation: one of `relations`.
            direction: one of `DIRECTIONS`; if left out, that of the best head.
        """
        from layerscope.plots.attention import layers_by_heads

        direction = direction or self.best(relation)["direction"]
        table = self.accuracies(relation, direction)
        side, number = DIRECTIONS.index(direction), self.relations.index(relation)
        title = (
            f"{last_part(self.model)}: {relation}, attention {direction}, {self.counts[side, number]:,} dependents; "
            f"always {self.offsets[side, number]:+d}: {self.baseline[side, number]:.2f}"
        )
        return layers_by_heads(table, title, "accuracy", 1.0, ax)

    @checked
    def accuracies(self, relation: str, direction: str) -> pd.DataFrame:
        """[layer, head]: the accuracy of every head for one of `relations`, in one of `DIRECTIONS`."""
        import pandas as pd

        if relation not in self.relations:
            raise unknown("relation", relation, self.relations)
        if direction not in DIRECTIONS:
            raise unknown("direction", direction, DIRECTIONS)
        values = self.accuracy[DIRECTIONS.index(direction), self.relations.index(relation)]
        layers = pd.Index(self.layers, name="layer")
        return pd.DataFrame(values, layers, pd.RangeIndex(values.shape[1], name="head"))

    @checked
    def best(self, relation: str) -> dict[str, Any]:
        """The row of `table` for one relation."""
        if relation not in self.relations:
            raise unknown("relation", relation, self.relations)
        return self._best(self.relations.index(relation))

    _calls = ".table(), .best(relation), .head(layer, head), .plot()"

    def _holds(self) -> str:
        heads = counted(self.accuracy[0, 0].size, "head")
        relations = counted(len(self.relations) - 1, "relation")
        return f"{heads} of {last_part(self.model)}, {relations}, {counted(self.sentences, 'sentence')}"

    def _best(self, number: int) -> dict[str, Any]:
        right = np.nan_to_num(self.accuracy[:, number] * self.counts[:, number, None, None], nan=-1.0)
        direction, layer, head = map(int, np.unravel_index(right.argmax(), right.shape))
        return self._row(number, direction, layer, head)

    def _row(self, number: int, direction: int, layer: int, head: int) -> dict[str, Any]:
        return {
            "relation": self.relations[number],
            "total": int(self.total[number]),
            "direction": DIRECTIONS[direction],
            "count": int(self.counts[direction, number]),
            "layer": self.layers[layer],
            "head": head,
            "accuracy": float(self.accuracy[direction, number, layer, head]),
            "offset": int(self.offsets[direction, number]),
            "baseline": float(self.baseline[direction, number]),
        }


@checked
def head_search(
    model: Model,
    source: str | Path | Iterable[Sentence],
    *,
    minimum: int = 20,
    limit: int | None = None,
    progress: bool | None = None,
) -> HeadSearch:
    """For each dependency relation of a treebank, how well every attention head finds the head word.

    As Clark et al. 2019 (https://arxiv.org/abs/1906.04341, table 1) do, one guess is made for every dependent:
    "from dependent", the word that it attends to most; "from head word", the word that attends most to it. The word
    itself and special tokens are left out. Attention to a split word is the sum over its pieces, from it the mean.
    Words are the treebank's own. Syntactic words that share a surface token ("du") share its attention, and those
    that depend on each other within it are not asked about, nor is the root, nor are words that the tokenizer drops.

    The baseline always guesses the word at one distance, of -10 to 10 words the best one for the relation, on the
    same dependents. Head and offset are both the best of many on these very sentences, so for rare relations they
    look better than they are.

    Words of a causal model attend to earlier words only. What lies later is not asked about, and a first word that no
    special token stands before is set apart: attention that is not needed goes there (Xiao et al. 2023).

    Relations are the labels as the treebank gives them: "nsubj" and "nsubj:pass" are two. "all" is all of them,
    rare ones and punctuation too.

    Args:
        model: any model; of an encoder-decoder the encoder is searched.
        source: a CoNLL-U file (see `read_conllu`), or sentences.
        minimum: how many dependents a relation must have; for a causal model in at least one direction.
        limit: read so many sentences at most.
        progress: show a bar on stderr; if left out, when that is a terminal or a notebook.

    Raises:
        InputError: the file cannot be read, or has no relation that is there often enough.
        ModelError: attention that is no number.

    >>> import layerscope as ls
    >>> from layerscope.corpus.conllu import Sentence
    >>> sentence = Sentence("the crane", ((0, 3), (4, 9)), ("the", "crane"), ("DET", "NOUN"), ("_", "_"),
    ...                     (1, -1), ("det", "root"))
    >>> ls.head_search(ls.load(), [sentence], minimum=1).best("det")["offset"]
    1
    """
    check_count("minimum", minimum)
    if limit is not None:
        check_count("limit", limit)
    sentences = read_conllu(source) if isinstance(source, str | Path) else map(_sentence, source)
    tallies: dict[str, Tally] = {}
    too_long: list[Sentence] = []
    count = 0
    layers: tuple[int, ...] = ()
    with shown(progress, limit, what="Searching") as bar:
        for trace, found in attended(model, dependencies(model, islice(sentences, limit), too_long)):
            for name, tally in asked_of_heads(trace, found).items():
                tallies[name] = tallies[name] + tally if name in tallies else tally
            count, layers = count + 1, trace.attention_layers["attentions"]
            bar.passed(1, len(trace.tokens))
    frequent = [name for name, tally in tallies.items() if tally.counts.max() >= minimum]
    if not frequent:
        raise InputError(
            f"No relation has {counted(minimum, 'dependent')} in {counted(count, 'sentence')}; give more of them, or a "
            "lower minimum."
        )
    frequent.sort(key=lambda name: (-tallies[name].total, name))
    kept = [reduce(add, tallies.values()), *(tallies[name] for name in frequent)]
    counts, right, by_offset = (
        np.stack([getattr(tally, name) for tally in kept], axis=1)
        for name in ("counts", "right", "by_offset")
    )
    enough = np.where(counts < minimum, np.nan, counts)
    return HeadSearch(
        model=model.name,
        is_causal=model.kind == "decoder",
        sentences=count,
        too_long=len(too_long),
        minimum=minimum,
        rare=len(tallies) - len(frequent),
        relations=(ALL, *frequent),
        total=np.array([tally.total for tally in kept]),
        counts=counts,
        layers=layers,
        accuracy=right / enough[..., None, None],
        offsets=OFFSETS[by_offset.argmax(axis=-1)],
        baseline=by_offset.max(axis=-1) / enough,
    )


def _sentence(given: Any) -> Sentence:
    if not isinstance(given, Sentence):
        raise InputError(
            f"source is a CoNLL-U file, or a list of sentences of one; {brief(given)} is no sentence."
        )
    return given


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
