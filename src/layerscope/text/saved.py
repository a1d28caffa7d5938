"""Tokens written down and read back: where no tokenizer is needed, nor torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from layerscope.errors import AlignmentError, InputError
from layerscope.text.alignment import Offsets
from layerscope.text.tokens import Tokens
from layerscope.text.vocabulary import Vocabulary
from layerscope.text.words import Word

# The arrays of tokens, by their fields.
_ARRAYS = ("ids", "special_mask", "token_type_ids", "sequence")


class SavedVocabulary(Vocabulary):
    """What some ids spell, without their tokenizer."""

    def __init__(self, name: str, spelt: Mapping[int, str]) -> None:
        self.tokenizer = None
        self._name = name
        self._spelt = spelt

    @property
    def name(self) -> str:
        """What the tokenizer is called."""
        return self._name

    def strings(self, ids: Iterable[int]) -> tuple[str, ...]:
        """Each token as people read it.

        Raises:
            InputError: an id that was not among those that were saved.
        """
        try:
            return tuple(self._spelt[int(index)] for index in ids)
        except KeyError as error:
            raise InputError(f"The id {error} is not among the tokens that were saved.") from None


@dataclass(frozen=True, eq=False, repr=False)
class SavedTokens(Tokens):
    """Tokens that were read back; where each stands in the text was written down."""

    places: Offsets | None = None
    misaligned: str | None = None

    @cached_property
    def offsets(self) -> Offsets:
        """int64 [token, 2], as of `Tokens`."""
        if self.uncut is not None:
            return self.uncut.offsets[self.kept]
        if self.places is None:
            raise AlignmentError(str(self.misaligned))
        return self.places


def written(tokens: Tokens) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Tokens as plain values, and as arrays by name."""
    arrays: dict[str, NDArray[Any]] = {name: getattr(tokens, name) for name in _ARRAYS}
    own = None if tokens.own_words is None else [asdict(word) for word in tokens.own_words]
    about = {
        "text": tokens.text,
        "pair": tokens.pair,
        "strings": list(tokens.strings),
        "cls_index": tokens.cls_index,
        "num_cut": tokens.num_cut,
        "own_words": own,
        "tokenizer": tokens.vocabulary.name,
        "misaligned": None,
    }
    try:
        arrays["offsets"] = tokens.offsets
    except AlignmentError as error:
        about["misaligned"] = str(error)
    return about, arrays


def read_back(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Tokens:
    """What `written` was given, but for what was cut."""
    own = about["own_words"]
    return SavedTokens(
        text=about["text"],
        pair=about["pair"],
        vocabulary=SavedVocabulary(
            about["tokenizer"], dict(zip(arrays["ids"].tolist(), about["strings"], strict=True))
        ),
        ids=arrays["ids"],
        special_mask=arrays["special_mask"],
        token_type_ids=arrays["token_type_ids"],
        sequence=arrays["sequence"],
        cls_index=about["cls_index"],
        num_cut=about["num_cut"],
        own_words=None if own is None else tuple(Word(**word) for word in own),
        places=arrays.get("offsets"),
        misaligned=about["misaligned"],
    )
