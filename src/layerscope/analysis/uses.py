"""Uses: every occurrence of a word in a corpus, with its vector at each layer."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from layerscope.corpus.corpus import open_corpus
from layerscope.corpus.rows import Rows, in_ranges
from layerscope.engine.stream import ROWS, stream
from layerscope.engine.vectors import Passed
from layerscope.errors import AlignmentError, InputError, NotFoundError
from layerscope.progress import shown
from layerscope.reduce.feature import Feature
from layerscope.reduce.finite import check_finite
from layerscope.reduce.pooling import Array
from layerscope.shown import counted
from layerscope.text.encode import check_text
from layerscope.text.labels import listed
from layerscope.text.tokens import Tokens
from layerscope.text.words import find_phrase, unicode_words, word_boundaries

if TYPE_CHECKING:
    from layerscope.model import Model
    from layerscope.store.features import Features

# Rows of a folder of features that are looked at together.
_ROWS = 1024

# Code points of the text on either side of a use.
_AROUND = 15

# Of texts without the word, so many different words are kept for the message, and so many shown.
_SEEN, _SHOWN = 50_000, 5

# Letters that a word must have for one that differs by a letter to be near, and letters of an ending at the most.
_STEM, _ENDING = 4, 3

_WORDS = "words"


@dataclass(frozen=True)
class Use:
    """One occurrence of a word: `text[start:end]`, in code points, of row number `row` (from 0)."""

    row: int
    text: str
    start: int
    end: int
    label: str | None = None

    @property
    def context(self) -> str:
        """The word in brackets within what stands around it, on one line."""
        left, right = max(0, self.start - _AROUND), self.end + _AROUND
        before = "…" * (left > 0) + self.text[left : self.start]
        after = self.text[self.end : right] + "…" * (right < len(self.text))
        return re.sub(r"\s", " ", f"{before}[{self.text[self.start : self.end]}]{after}")


@dataclass(frozen=True, eq=False, repr=False)
class Uses:
    """The n uses of a word in a corpus.

    Attributes:
        word: what was looked for.
        model: the model's name.
        num_layers: the number of its blocks.
        layers: those that there are vectors of, 0 being the embeddings.
        uses: in the order of the corpus.
        vectors: float32 [use, layer, hidden], pieces pooled by mean.
        texts_without: how many texts do not have the word.
        uses_lost: how many uses have no vector: the tokenizer drops the word, or a folder of features has none.
    """

    word: str
    model: str
    num_layers: int
    layers: tuple[int, ...]
    uses: tuple[Use, ...]
    vectors: Array
    texts_without: int
    uses_lost: int


def uses_in_texts(
    model: Model, word: str, texts: Any, labels: Any, *, text: str | None, segment: str, progress: bool | None
) -> Uses:
    """The uses in a corpus, whose texts with the word pass through the network. See `senses`."""
    column = labels if isinstance(labels, str) else None
    corpus = open_corpus(texts, text=text, keep=[] if column is None else [column], segment=segment)
    if corpus.has_pairs:
        raise InputError("Senses are of single texts; these are pairs.")
    finder = _Finder(word, corpus.name, labels, corpus.count)
    every = Feature("tokens", "all")
    uses, vectors, lost = [], [], 0
    with shown(progress, corpus.count, what="Senses") as bar:
        rows = in_ranges(finder.rows_with(corpus.chunks(ROWS), column, bar.passed), ROWS)
        for block in stream(model, rows, [every], passed=bar.passed):
            layers = [block.columns[name].values for name in every.columns(model.num_layers)]
            for number, tokens in enumerate(block.tokens):
                for use in finder.passing.popleft():
                    try:
                        span = tokens.find((use.start, use.end))
                    except (NotFoundError, AlignmentError):
                        lost += 1
                        continue
                    vectors.append(np.stack([states[number][span.slice].mean(axis=0) for states in layers]))
                    uses.append(use)
    finder.check_end(len(uses))
    stacked = np.stack(vectors)
    check_finite(stacked, (f"Row {use.row} of {corpus.name}: {word!r}" for use in uses))
    return Uses(
        word=word,
        model=model.name,
        num_layers=model.num_layers,
        layers=tuple(range(model.num_layers + 1)),
        uses=tuple(uses),
        vectors=stacked,
        texts_without=finder.texts_without,
        uses_lost=lost,
    )


def uses_in_features(features: Features, word: str, labels: Any) -> Uses:
    """The uses in a folder of features, whose words have their vectors already. See `senses`.

    The texts are read first, then the vectors layer by layer, so that one row group of one column is in
    memory beside the uses.
    """
    name = features.folder.name
    columns = {
        int(column.removeprefix(f"{_WORDS}_")): column
        for column, about in features.columns.items()
        if about.kind == _WORDS
    }
    if not columns:
        raise InputError(
            f"{name} has no vectors of words, only {', '.join(features.columns)}; extract it with words@all."
        )
    if "pair" in features.manifest.settings["schema"]:
        raise InputError(f"Senses are of single texts; {name} is of pairs.")
    layers = tuple(sorted(columns))
    finder = _Finder(word, name, labels, len(features))
    uses: list[Use] = []
    places: dict[int, list[tuple[int, int]]] = {}  # by row: the number of a use, and that of its word
    lost = 0
    for use, item in _stored_uses(features, finder, labels if isinstance(labels, str) else None):
        if item is None:
            lost += 1
            continue
        places.setdefault(use.row, []).append((len(uses), item))
        uses.append(use)
    finder.check_end(len(uses))
    width = features.columns[columns[layers[0]]].width
    vectors = np.empty((len(uses), len(layers), width), np.float32)
    has_vector = np.zeros((len(uses), len(layers)), dtype=bool)
    for place, layer in enumerate(layers):
        for start, batch in features.stored.around(places, _ROWS, [columns[layer]]):
            for row in range(start, start + len(batch)):
                for number, item in places.get(row, ()):
                    cell = batch.column(0)[row - start]
                    if cell.is_valid and cell.values[item].is_valid:
                        vectors[number, place] = cell.values[item].values.to_numpy()
                        has_vector[number, place] = True
    there = np.flatnonzero(has_vector.all(axis=1))
    finder.check_end(len(there))
    check_finite(vectors[there], (f"Row {uses[use].row} of {name}: {word!r}" for use in there))
    return Uses(
        word=word,
        model=str(features.manifest.about["model"]["name"]),
        num_layers=int(features.manifest.settings["model"]["num_layers"]),
        layers=layers,
        uses=tuple(uses[number] for number in there),
        vectors=vectors[there],
        texts_without=finder.texts_without,
        uses_lost=lost + len(uses) - len(there),
    )


def _stored_uses(features: Features, finder: _Finder, column: str | None) -> Iterator[tuple[Use, int | None]]:
    """The uses in stored texts, and which of the row's words each one is; None if it is no word of its own."""
    wanted = dict.fromkeys(["text", "word_starts", "word_ends", *([] if column is None else [column])])
    for batch in features.batches(_ROWS, list(wanted)):
        rows = {name: values.to_pylist() for name, values in zip(wanted, batch.columns, strict=True)}
        for number, one in enumerate(rows["text"]):
            starts, ends = rows["word_starts"][number] or (), rows["word_ends"][number] or ()
            items = {place: item for item, place in enumerate(zip(starts, ends, strict=True))}
            label = None if column is None else rows[column][number]
            for use in finder.uses("" if one is None else one, label):
                yield use, items.get((use.start, use.end))


class _Finder:
    """Looks for a word in the texts of a corpus, one after the other, and counts those without it."""

    def __init__(self, word: str, where: str, labels: Any, count: int | None) -> None:
        if not isinstance(word, str) or not word.strip():
            raise InputError(f"The word is text, such as 'bank'; not {word!r}.")
        self.texts_without = 0
        self.passing: deque[list[Use]] = deque()
        self._word, self._where = word, where
        self._is_labelled = labels is not None
        self._labels = None if labels is None or isinstance(labels, str) else listed(labels, "labels")
        self._kinds: set[bool] = set()
        self._row = 0
        self._seen: dict[str, None] = {}
        self._num_found = 0
        if count is not None:
            self._check_labels(count)

    def rows_with(self, chunks: Iterator[Rows], column: str | None, passed: Passed) -> Iterator[Rows]:
        """The rows of a corpus that have the word; `passed` is told how many have not.

        Their uses wait in `passing`, row by row, while the rows are on their way through the network.
        """
        for rows in chunks:
            named = None if column is None else rows.kept.column(column).to_pylist()
            kept = []
            for number, one in enumerate(rows.texts):
                if uses := self.uses(one, None if named is None else named[number]):
                    self.passing.append(uses)
                    kept.append(one)
            passed(len(rows) - len(kept), 0)
            yield Rows(rows.start, kept, None, rows.kept.select([]).slice(0, len(kept)))

    def uses(self, given: Any, label: Any) -> list[Use]:
        """The uses in the next row's text; `label` is the row's where a column has the labels."""
        row, self._row = self._row, self._row + 1
        if not isinstance(given, Tokens):
            check_text(given, f"Row {row} of {self._where}")
        text = given.text if isinstance(given, Tokens) else given
        own = given.words if isinstance(given, Tokens) else ()
        edges = {*word_boundaries(text), *(w.start for w in own), *(w.end for w in own)}
        places = find_phrase(text, self._word, edges)
        if not places:
            self.texts_without += 1
            if not self._num_found and len(self._seen) < _SEEN:
                self._seen.update(dict.fromkeys(word.text for word in unicode_words(text)))
            return []
        if self._labels is not None:
            if row >= len(self._labels):
                raise InputError(
                    f"There are more texts than labels, {len(self._labels):,}; each text needs one."
                )
            label = self._labels[row]
        self._num_found += len(places)
        return [Use(row, text, start, end, self._read_label(label, row)) for start, end in places]

    def check_end(self, num_uses: int) -> None:
        """Raise if what was looked for is not there, once all rows were read."""
        self._check_labels(self._row)
        if not self._num_found:
            near = [word for word in self._seen if _is_near(self._word.casefold(), word.casefold())][:_SHOWN]
            hint = f" Near to it are: {', '.join(map(repr, near))}." if near else ""
            raise InputError(
                f"{self._word!r} is in none of the {counted(self._row, 'text')} of {self._where}.{hint}"
            )
        if not num_uses:
            raise InputError(
                f"{self._word!r} is there {self._num_found:,} times in {self._where}, but never has a vector of "
                "its own: in a folder of features it must be one word, and in a model a word that the tokenizer "
                "does not drop."
            )

    def _check_labels(self, count: int) -> None:
        if self._labels is not None and len(self._labels) != count:
            raise InputError(
                f"There are {counted(count, 'text')} and {counted(len(self._labels), 'label')}; each text needs one."
            )

    def _read_label(self, label: Any, row: int) -> str | None:
        if not self._is_labelled:
            return None
        import pandas as pd

        if (pd.api.types.is_scalar(label) and pd.isna(label)) or not str(label).strip():
            raise InputError(
                f"Row {row} of {self._where} has the word, but no label; give it one, or leave it out."
            )
        self._kinds.add(isinstance(label, str))
        if len(self._kinds) > 1:
            raise InputError("The labels are partly text and partly numbers; make them one or the other.")
        is_whole = isinstance(label, float) and label.is_integer()  # as a table with gaps has whole numbers
        return str(int(label) if is_whole else label)


def _is_near(word: str, other: str) -> bool:
    """Whether one is the other with one letter more, less or another, with two exchanged, or with another ending."""
    start = _common(word, other)
    end = _common(word[start:][::-1], other[start:][::-1])
    rest, others = word[start : len(word) - end], other[start : len(other) - end]
    if len(rest) == 2 and rest == others[::-1]:
        return True
    if min(len(word), len(other)) < _STEM:
        return False
    is_form = min(len(word), len(other)) == start and abs(len(word) - len(other)) <= _ENDING
    return is_form or max(len(rest), len(others)) <= 1


def _common(word: str, other: str) -> int:
    """How many letters both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(word, other, strict=False)))
