"""Tokens: the items of the vocabulary that a text becomes, and where they stand in it."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from layerscope.arguments import checked
from layerscope.errors import InputError, NotFoundError, brief
from layerscope.result import Result
from layerscope.shown import counted
from layerscope.text.alignment import Offsets, align
from layerscope.text.vocabulary import Vocabulary
from layerscope.text.words import Word, find_phrase, unicode_words, word_boundaries

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# How many candidates a message lists.
_LISTED = 12


@dataclass(frozen=True)
class Span:
    """Neighboring tokens `start:stop` of a sequence, and the text that they were found by."""

    text: str
    start: int
    stop: int
    sequence: int = 0

    @property
    def slice(self) -> slice:
        """The tokens, as an index into any array whose axis is tokens."""
        return slice(self.start, self.stop)

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, eq=False, repr=False)
class Tokens(Result):
    """A text, or a pair of texts, as the model receives it: n tokens.

    Offsets and words are worked out, and checked, the first time they are asked for.

    Attributes:
        text, pair: what was tokenised.
        vocabulary: what the ids spell.
        ids: int64 [token], rows of the embedding matrix.
        special_mask: bool [token], the template's own tokens ([CLS], <s>).
        token_type_ids: int64 [token], the segment of each token; zeros where the tokenizer has none.
        sequence: int64 [token], 0 for the text, 1 for the pair, -1 for special tokens.
        cls_index: the position of the classification token, None if the tokenizer has none.
        num_cut: how many tokens of the text were left out because it was asked to be cut.
    """

    text: str
    pair: str | None
    vocabulary: Vocabulary = field(repr=False)
    ids: NDArray[np.int64]
    special_mask: NDArray[np.bool_]
    token_type_ids: NDArray[np.int64]
    sequence: NDArray[np.int64]
    cls_index: int | None = None
    num_cut: int = 0
    reported: Offsets | None = field(default=None, repr=False)
    own_words: tuple[Word, ...] | None = field(default=None, repr=False)
    uncut: Tokens | None = field(default=None, repr=False)
    kept: NDArray[np.int64] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def strings(self) -> tuple[str, ...]:
        """The tokens as people read them: " ghost", "##word", "<0xF0>"."""
        return self.vocabulary.strings(self.ids)

    @cached_property
    def offsets(self) -> Offsets:
        """int64 [token, 2]: where each token stands in its text, half-open, in code points.

        Without the white space that a token may carry; special tokens are (0, 0).

        Raises:
            AlignmentError: the tokens cannot be placed in the text.
        """
        if self.uncut is not None:
            return self.uncut.offsets[self.kept]
        offsets = np.zeros((len(self), 2), dtype=np.int64)
        for number, text in enumerate(self._texts):
            own = np.flatnonzero(self.sequence == number)
            reported = (
                self.reported[own] if self.reported is not None and len(self.reported) == len(self) else None
            )
            offsets[own] = align(text, self.ids[own].tolist(), self.vocabulary, reported)
        return offsets

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """The words of the text (and then of its pair): Unicode words, or the caller's own.

        They depend on the text alone, so that two tokenizers can be compared word by word.
        """
        if self.own_words is not None:
            return self.own_words
        return tuple(word for number, text in enumerate(self._texts) for word in unicode_words(text, number))

    @cached_property
    def word_index(self) -> NDArray[np.int64]:
        """int64 [token]: the word that each token belongs to, the first if several; -1 for none."""
        first, stop = self._words_of_tokens
        return np.where(first < stop, first, -1)

    @cached_property
    def word_spans(self) -> tuple[Span, ...]:
        """For each word its tokens; an empty span for a word that the tokenizer dropped or that was cut.

        A token that covers two words ("..." is one token of GPT-2's and three words) is in both spans.
        """
        first, stop = self._words_of_tokens
        spans: list[Span] = []
        for sequence in range(len(self._texts)):
            own = np.flatnonzero(self.sequence == sequence)
            numbers = [number for number, word in enumerate(self.words) if word.sequence == sequence]
            starts = np.searchsorted(stop[own], numbers, side="right")
            stops = np.searchsorted(first[own], numbers, side="right")
            for number, a, b in zip(numbers, starts, stops, strict=True):
                place = (int(own[a]), int(own[b - 1]) + 1) if a < b else (0, 0)
                spans.append(Span(self.words[number].text, *place, sequence))
        return tuple(spans)

    @checked
    def find(
        self, what: str | tuple[int, int], occurrence: int | None = None, sequence: int | None = None
    ) -> Span:
        """The tokens of a word, a phrase, or a range of characters.

        Args:
            what: text that begins and ends at a word's edge ("ghost", "my mother"), as written or else
                ignoring case; or `(start, end)` in code points.
            occurrence: which one, from 1, if it is there more than once.
            sequence: 0 or 1 to look in the text or its pair only.

        Raises:
            NotFoundError: it is not there, or more than once with no `occurrence`; the message lists
                the candidates.
            InputError: an `occurrence` or `sequence` that cannot be.

        >>> import layerscope as ls
        >>> ls.load().tokenize("A ghost of a ghost.").find("ghost", occurrence=2)
        Span(text='ghost', start=5, stop=6, sequence=0)
        """
        if sequence is not None and sequence not in range(len(self._texts)):
            there = "0, the text, or 1, its pair" if self.pair is not None else "0: there is no pair"
            raise InputError(f"sequence={sequence!r} is not there; it is {there}.")
        if isinstance(what, str):
            start, end, number = self._choose(what, occurrence, sequence)
        else:
            (start, end), number = _range(what, len(self._texts[sequence or 0])), sequence or 0
        inside = (self.sequence == number) & (self.offsets[:, 0] < end) & (self.offsets[:, 1] > start)
        found = np.flatnonzero(inside)
        shown = self._texts[number][start:end]
        if not len(found):
            why = f"{self.num_cut} tokens of the text were cut" if self.num_cut else "the tokenizer drops it"
            raise NotFoundError(f"No token stands on {shown!r}, characters {start} to {end}: {why}.")
        return Span(shown, int(found[0]), int(found[-1]) + 1, number)

    def table(self) -> pd.DataFrame:
        """One row a token: id, string, start, end, word, word_index, special, token_type."""
        import pandas as pd

        names = [self.words[index].text if index >= 0 else None for index in self.word_index]
        return pd.DataFrame(
            {
                "id": self.ids,
                "string": self.strings,
                "start": self.offsets[:, 0],
                "end": self.offsets[:, 1],
                "word": pd.array(names, dtype="str"),
                "word_index": self.word_index,
                "special": self.special_mask,
                "token_type": self.token_type_ids,
            }
        ).rename_axis("token")

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values: the texts, and a row a token as in `table`, with the text that it is in."""
        rows = self.table().reset_index().assign(text=self.sequence).astype(object)
        rows = rows.where(rows.notna(), None)
        return {"text": self.text, "pair": self.pair, "tokens": rows.to_dict("records")}

    @checked
    def plot(self, ax: Axes | None = None) -> Axes:
        """The tokens in a row as boxes, those of a word in one colour, special ones grey.

        Raises:
            InputError: there are more tokens than can be read in one figure.
        """
        from layerscope.plots.tokens import token_boxes

        cut = f", {self.num_cut:,} cut" if self.num_cut else ""
        title = f"{counted(len(self), 'token')}, {counted(len(self.words), 'word')}{cut}"
        return token_boxes(self.strings, self.word_index.tolist(), self.special_mask.tolist(), title, ax)

    _calls = ".strings, .offsets, .words, .find(word), .table(), .plot()"

    def _holds(self) -> str:
        shown = " ".join(self.strings[:_LISTED])
        return f"{counted(len(self), 'token')}: {shown}{' …' * (len(self) > _LISTED)}"

    def keep(self, positions: NDArray[np.int64]) -> Tokens:
        """These tokens only; the others count as cut."""
        return replace(
            self,
            ids=self.ids[positions],
            special_mask=self.special_mask[positions],
            token_type_ids=self.token_type_ids[positions],
            sequence=self.sequence[positions],
            num_cut=self.num_cut + len(self) - len(positions),
            uncut=self,
            kept=positions,
        )

    @property
    def _texts(self) -> tuple[str, ...]:
        return (self.text,) if self.pair is None else (self.text, self.pair)

    @cached_property
    def _words_of_tokens(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each token the range `first:stop` of words that it touches; empty for special tokens."""
        first = np.zeros(len(self), dtype=np.int64)
        stop = np.zeros(len(self), dtype=np.int64)
        numbers = np.array([word.sequence for word in self.words], dtype=np.int64)
        for number in range(len(self._texts)):
            own = self.sequence == number
            base = int((numbers < number).sum())
            words = [word for word in self.words if word.sequence == number]
            starts, ends = np.array([w.start for w in words]), np.array([w.end for w in words])
            first[own] = base + np.searchsorted(ends, self.offsets[own, 0], side="right")
            stop[own] = base + np.searchsorted(starts, self.offsets[own, 1], side="left")
        return first, stop

    def _choose(self, what: str, occurrence: int | None, sequence: int | None) -> tuple[int, int, int]:
        """The place of the text that is meant, and which of the texts it is in."""
        numbers = range(len(self._texts)) if sequence is None else [sequence]
        places = [
            (start, end, n)
            for n in numbers
            for start, end in find_phrase(self._texts[n], what, self._edges(n))
        ]
        if not places:
            words = list(dict.fromkeys(word.text for word in self.words if word.sequence in numbers))
            near = difflib.get_close_matches(what, words, n=3, cutoff=0.5)
            raise NotFoundError(
                f"{what!r} is no word or phrase of the text; it has {_listed(map(repr, near or words), ', ')}."
            )
        if occurrence is None and len(places) == 1:
            return places[0]
        candidates = _listed(
            (
                f"{number}: {_in_context(self._texts[n], start, end)}" + " (pair)" * n
                for number, (start, end, n) in enumerate(places, start=1)
            ),
            "; ",
        )
        times = "once" if len(places) == 1 else f"{len(places)} times"
        if occurrence is None:
            raise NotFoundError(f"{what!r} is there {times}; say which with occurrence=: {candidates}.")
        if occurrence not in range(1, len(places) + 1):
            raise NotFoundError(
                f"{what!r} is there {times}, so occurrence={occurrence!r} is not one of {candidates}."
            )
        return places[int(occurrence) - 1]

    def _edges(self, sequence: int) -> set[int]:
        """Where words begin and end, the Unicode ones and the caller's own."""
        own = [word for word in self.own_words or () if word.sequence == sequence]
        return {*word_boundaries(self._texts[sequence]), *(w.start for w in own), *(w.end for w in own)}


def _range(what: tuple[int, int], length: int) -> tuple[int, int]:
    try:
        start, end = map(operator.index, what)
    except (TypeError, ValueError):
        raise InputError(
            f"find takes a word, a phrase, or a range (start, end) of characters; not {brief(what)}."
        ) from None
    if not 0 <= start < end <= length:
        raise NotFoundError(
            f"({start}, {end}) is no range of the text; give 0 <= start < end <= {length}, its length."
        )
    return start, end


def _listed(candidates: Iterable[str], separator: str) -> str:
    """The first candidates of a message; whether there are more shows."""
    first = list(islice(candidates, _LISTED + 1))
    return separator.join([*first[:_LISTED], *("…" for _ in first[_LISTED:])]) or "none"


def _in_context(text: str, start: int, end: int) -> str:
    before, after = text[max(start - 15, 0) : start], text[end : end + 15]
    return repr("…" * (start > 15) + before + text[start:end] + after + "…" * (end + 15 < len(text)))
