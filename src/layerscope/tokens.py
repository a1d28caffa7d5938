"""Tokens: the items of the vocabulary that a text becomes, and where they stand in it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from layerscope.alignment import Offsets, align
from layerscope.errors import NotFoundError
from layerscope.vocabulary import Vocabulary
from layerscope.words import Word, unicode_words, word_boundaries

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Span:
    """Neighbouring tokens `start:stop` of a sequence, and the text that they were found by."""

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


@dataclass(frozen=True, eq=False)
class Tokens:
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
            reported = None if self.reported is None else self.reported[own]
            offsets[own] = align(text, self.vocabulary.spelt(self.ids[own]), reported)
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

    def find(self, what: str | tuple[int, int], occurrence: int | None = None, sequence: int | None = None) -> Span:
        """The tokens of a word, a phrase, or a range of characters.

        Args:
            what: text that begins and ends at a word's edge ("ghost", "my mother"), as written or else
                ignoring case; or `(start, end)` in code points.
            occurrence: which one, from 1, if it is there more than once.
            sequence: 0 or 1 to look in the text or its pair only.

        Raises:
            NotFoundError: it is not there, or more than once with no `occurrence`; the message lists
                the candidates.

        >>> import layerscope as ls
        >>> ls.load().tokenize("A ghost of a ghost.").find("ghost", occurrence=2)
        Span(text='ghost', start=5, stop=6, sequence=0)
        """
        if isinstance(what, str):
            start, end, number = self._choose(what, occurrence, sequence)
        else:
            (start, end), number = what, sequence or 0
        shown = self._texts[number][start:end]
        inside = (self.sequence == number) & (self.offsets[:, 0] < end) & (self.offsets[:, 1] > start)
        found = np.flatnonzero(inside)
        if not len(found):
            raise NotFoundError(
                f"No token stands on characters {start} to {end} ({shown!r}) of the text, which has "
                f"{len(self._texts[number])}." + (f" {self.num_cut} tokens were cut." if self.num_cut else "")
            )
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
        empty = self.offsets[:, 0] == self.offsets[:, 1]
        stop[empty] = first[empty]
        return first, stop

    def _choose(self, what: str, occurrence: int | None, sequence: int | None) -> tuple[int, int, int]:
        numbers = range(len(self._texts)) if sequence is None else [sequence]
        places = [(*place, n) for n in numbers for place in _occurrences(self._texts[n], what)]
        if not places:
            near = difflib.get_close_matches(what, [word.text for word in self.words], n=3, cutoff=0.5)
            listed = ", ".join(repr(name) for name in dict.fromkeys(near or [word.text for word in self.words][:12]))
            raise NotFoundError(f"{what!r} is not a word or phrase of the text. Its words: {listed or 'none'}.")
        if occurrence is None and len(places) > 1:
            listed = "; ".join(
                f"{number}: {_in_context(self._texts[n], start, end)}"
                for number, (start, end, n) in enumerate(places, start=1)
            )
            raise NotFoundError(f"{what!r} is there {len(places)} times; say which with occurrence=: {listed}.")
        if not 1 <= (occurrence or 1) <= len(places):
            raise NotFoundError(f"{what!r} is there {len(places)} times; occurrence={occurrence} is not one of them.")
        return places[(occurrence or 1) - 1]


def _occurrences(text: str, what: str) -> list[tuple[int, int]]:
    """Where a phrase stands with a word's edge on both sides: as written, or else ignoring case."""
    edges = set(word_boundaries(text))

    def is_edge(position: int) -> bool:
        around = text[max(position - 1, 0) : position + 1]
        return position in edges or not (len(around) == 2 and around.isalnum())

    def search(haystack: str, needle: str) -> list[tuple[int, int]]:
        places, start = [], haystack.find(needle) if needle else -1
        while start >= 0:
            if is_edge(start) and is_edge(start + len(needle)):
                places.append((start, start + len(needle)))
            start = haystack.find(needle, start + 1)
        return places

    lowered = text.lower()
    return search(text, what) or (search(lowered, what.lower()) if len(lowered) == len(text) else [])


def _in_context(text: str, start: int, end: int) -> str:
    before, after = text[max(start - 15, 0) : start], text[end : end + 15]
    return repr(f"{'…' if start > 15 else ''}{before}{text[start:end]}{after}{'…' if end + 15 < len(text) else ''}")
