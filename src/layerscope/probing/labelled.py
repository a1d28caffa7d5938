"""Labelled examples: texts, or words in texts, from whatever a user has, with what is to be predicted of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerscope.corpus.corpus import open_corpus
from layerscope.corpus.rows import Rows
from layerscope.engine.stream import ROWS
from layerscope.errors import InputError, unknown
from layerscope.reduce.pooling import Array
from layerscope.shown import counted
from layerscope.text.labels import check_distinct, listed
from layerscope.text.tokens import Tokens

if TYPE_CHECKING:
    from layerscope.model import Model

UNITS = ("text", "word")

# What can be predicted of the words of a treebank.
TREEBANK = ("upos", "xpos", "relation")


@dataclass(frozen=True, eq=False)
class Labelled:
    """n examples with their labels.

    Attributes:
        rows: the texts, in order; where words are the examples, `Tokens` that have them.
        unit: what an example is, a "text" or a "word".
        labels: [n], in the order of the texts and of the words in each.
        groups: [n], examples of one group are never divided between training and test; None where there are none.
            Words of one text are a group.
    """

    rows: list[Rows]
    unit: str
    labels: Array
    groups: Array | None

    @property
    def num_texts(self) -> int:
        """How many texts there are."""
        return sum(map(len, self.rows))


def labelled(
    model: Model,
    texts: Any,
    labels: Sequence[Any] | str,
    groups: Sequence[Any] | str | None,
    text: str | None = None,
    pair: str | None = None,
) -> Labelled:
    """Examples from texts and their labels.

    Args:
        model: whose tokenizer reads the words.
        texts: texts, a table, files (see `open_corpus`); or, to label words, lists of words, or a .conllu file.
        labels: one a text; one list a text, with a label for each of its words; or the name of the column that
            holds them ("upos", "xpos" or "relation" of a .conllu file).
        groups: one a text, or the name of their column.
        text, pair: which columns hold the texts.

    Raises:
        InputError: lists of different lengths, a missing label, labels that look alike, nothing at all.
    """
    if labels is None:
        raise InputError("Give the labels: a list, or the name of their column.")
    is_words = isinstance(texts, list | tuple) and len(texts) > 0 and all(map(_is_words, texts))
    if (is_words or _is_treebank(texts)) and (text is not None or pair is not None):
        raise InputError("Words have no columns: leave text= and pair= out.")
    if _is_treebank(texts):
        return _of_treebank(model, Path(texts), labels, groups)
    if is_words:
        return _of_words(model, texts, labels, groups)
    names = [name for name in (labels, groups) if isinstance(name, str)]
    corpus = open_corpus(texts, text=text, pair=pair, keep=list(dict.fromkeys(names)))
    rows = list(corpus.chunks(ROWS))
    count = sum(map(len, rows))
    if not count:
        raise InputError(f"There is nothing to learn from: {corpus.name} has no texts.")
    return Labelled(
        rows,
        "text",
        _one_each(labels, "label", rows, count),
        None if groups is None else _one_each(groups, "group", rows, count),
    )


def _one_each(given: Sequence[Any] | str, what: str, rows: list[Rows], count: int) -> Array:
    """One label, or group, for each text; as a list, or as the name of a column that was kept."""
    if isinstance(given, str):
        found = [value for part in rows for value in part.kept.column(given).to_pylist()]
    else:
        found = listed(given, f"{what}s")
    if len(found) != count:
        raise InputError(
            f"There are {counted(count, 'text')} and {counted(len(found), what)}; each text needs one."
        )
    return _whole(found, what, "text")


def _is_treebank(texts: Any) -> bool:
    return isinstance(texts, str | Path) and str(texts).endswith(".conllu")


def _is_words(one: Any) -> bool:
    return isinstance(one, list) and all(isinstance(word, str) for word in one)


def _of_words(
    model: Model,
    texts: Sequence[Sequence[str]],
    labels: Sequence[Any] | str,
    groups: Sequence[Any] | str | None,
) -> Labelled:
    if isinstance(labels, str) or isinstance(groups, str):
        raise InputError("Lists of words have no columns: give labels as lists, one for each text.")
    labels = listed(labels, "labels")
    if len(labels) != len(texts):
        raise InputError(
            f"There are {counted(len(texts), 'text')} and {len(labels)} lists of labels; each text needs one."
        )
    for number, (words, own) in enumerate(zip(texts, labels, strict=True)):
        is_list = hasattr(own, "__len__") and not isinstance(own, str | Mapping | Set)
        if not is_list or len(own) != len(words):
            size = str(len(own)) if is_list else "no list"
            raise InputError(
                f"Text {number} has {counted(len(words), 'word')} and {size} of labels; each word needs one."
            )
    tokens = [model.tokenize(words=list(words)) for words in texts if len(words)]
    flat = [label for own in labels for label in own]
    of_texts = range(len(texts)) if groups is None else listed(groups, "groups")
    if len(of_texts) != len(texts):
        raise InputError(
            f"There are {counted(len(texts), 'text')} and {counted(len(of_texts), 'group')}; each text needs one."
        )
    spread = [group for group, words in zip(of_texts, texts, strict=True) for _ in words]
    return _words(tokens, flat, spread)


def _of_treebank(
    model: Model, path: Path, labels: Sequence[Any] | str, groups: Sequence[Any] | str | None
) -> Labelled:
    from layerscope.corpus.conllu import read_conllu

    if not isinstance(labels, str) or labels not in TREEBANK:
        raise unknown("label of a treebank's words", labels, TREEBANK)
    if groups is not None:
        raise InputError("In a treebank the words of a sentence are a group; others cannot be given.")
    tokens: list[Tokens] = []
    flat: list[str] = []
    spread: list[int] = []
    for number, sentence in enumerate(read_conllu(path)):
        found = {"upos": sentence.upos, "xpos": sentence.xpos, "relation": sentence.relations}[labels]
        if "_" in found:
            raise InputError(
                f"{path.name}, sentence {number}: the word {sentence.forms[found.index('_')]!r} has no {labels}."
            )
        tokens.append(model.tokenize(sentence.text, words=list(sentence.words)))
        flat += found
        spread += [number] * len(found)
    return _words(tokens, flat, spread)


def _words(tokens: list[Tokens], labels: list[Any], groups: list[Any]) -> Labelled:
    if not labels:
        raise InputError("There is nothing to learn from: there are no words.")
    rows = [Rows.of(list(tokens[start : start + ROWS]), start=start) for start in range(0, len(tokens), ROWS)]
    return Labelled(rows, "word", _whole(labels, "label", "word"), _whole(groups, "group", "word"))


def _whole(given: list[Any], what: str, unit: str) -> Array:
    """[n], none of them missing; of one kind, so that 1 and "1" are not two classes."""
    values = [value.item() if isinstance(value, np.generic) else value for value in given]
    for number, value in enumerate(values):
        if _is_missing(value):
            shown = repr(value) if isinstance(value, str) else str(value)
            raise InputError(f"The {what} of {unit} {number} is missing ({shown}); leave such rows out.")
        if not isinstance(value, str | int | float):
            raise InputError(
                f"The {what} of {unit} {number} is {type(value).__name__}; give text or a number."
            )
    kinds = {isinstance(value, str) for value in values}
    if len(kinds) > 1:
        raise InputError(f"The {what}s are partly text and partly numbers; make them one or the other.")
    if True in kinds:
        check_distinct(values, what)
    return np.array(values)


def _is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, pandas' NA, or an empty cell."""
    import pandas as pd

    if isinstance(value, str):
        return not value.strip()
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))
