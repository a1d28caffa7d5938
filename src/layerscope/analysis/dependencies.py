"""The dependencies of a treebank, and how often each attention head finds the head word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from layerscope.corpus.conllu import Sentence
from layerscope.errors import ModelError
from layerscope.reduce.attention import merge, units, without_sink
from layerscope.reduce.heads import can_be_asked, finds_head_words
from layerscope.text.tokens import Tokens

if TYPE_CHECKING:
    from layerscope.model import Model
    from layerscope.trace import Trace

# How far from the dependent the head word stands, by the guesses that heads are compared with.
OFFSETS = np.array([offset for offset in range(-10, 11) if offset])

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Dependencies:
    """A sentence's dependencies: for each the numbers of two of its surface words, and the relation."""

    dependents: NDArray[np.int64]
    heads: NDArray[np.int64]
    relations: NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Tally:
    """What was counted for one relation.

    Attributes:
        total: its dependents.
        counts: [direction], those that could be asked about, in the order of `reduce.heads.DIRECTIONS`.
        right: [direction, layer, head], those of them whose head word each attention head finds.
        by_offset: [direction, offset], those of them whose head word stands at each of `OFFSETS`.
    """

    total: int
    counts: Counts
    right: Counts
    by_offset: Counts

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


def dependencies(
    model: Model, sentences: Iterable[Sentence], too_long: list[Sentence]
) -> Iterator[tuple[Tokens, Dependencies]]:
    """The tokens and dependencies of each sentence that fits the context window."""
    for sentence in sentences:
        places = {place: number for number, place in enumerate(dict.fromkeys(sentence.words))}
        tokens = model.tokenize(sentence.text, words=list(places))
        if model.context_window is not None and len(tokens) > model.context_window:
            too_long.append(sentence)
            continue
        numbers = np.array([places[place] for place in sentence.words], dtype=np.int64)
        heads = np.array(sentence.heads, dtype=np.int64)
        has_head = heads >= 0
        relations = np.array(sentence.relations, dtype=object)[has_head]
        yield tokens, Dependencies(numbers[has_head], numbers[heads[has_head]], relations)


def asked_of_heads(trace: Trace, found: Dependencies) -> dict[str, Tally]:
    """Every head, asked about every dependency of one sentence."""
    is_causal = trace.kind == "decoder"
    words = units(trace.tokens, "word")
    attention = merge(trace.attentions, words.shares, words.shares)
    if not np.isfinite(attention).all():
        raise ModelError(f"The attention of {trace.model} is no number (NaN) in {trace.tokens.text!r}.")
    # Where each word of the sentence is among the units, -1 for one that the tokenizer drops.
    unit = np.full(len(trace.tokens.words), -1, dtype=np.int64)
    unit[[len(span) > 0 for span in trace.tokens.word_spans]] = np.flatnonzero(words.is_word)
    among = (without_sink(words) if is_causal else words).is_word
    dependents, heads = unit[found.dependents], unit[found.heads]
    asked = can_be_asked(among, dependents, heads, is_causal)
    right = finds_head_words(attention, among, dependents, heads) & asked[:, None, None]
    is_at = (found.heads - found.dependents == OFFSETS[:, None]) & asked[:, None]
    tallies = {}
    for relation in set(found.relations):
        own = found.relations == relation
        sums = (values[..., own].sum(axis=-1) for values in (asked, right, is_at))
        tallies[relation] = Tally(int(own.sum()), *sums)
    return tallies
