"""From text to `Tokens`: the only place that calls a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from layerscope.errors import InputError
from layerscope.tokens import Tokens
from layerscope.vocabulary import Vocabulary
from layerscope.words import Word, join_words, own_words, unicode_words

Text = str | tuple[str, str]
OwnWords = Sequence[str] | Sequence[tuple[int, int]]


def encode(vocabulary: Vocabulary, texts: Sequence[Text]) -> list[Tokens]:
    """Tokenise texts, or pairs of texts, with the template's special tokens; nothing is cut or padded.

    Raises:
        InputError: an item is neither a string nor a pair of strings; the message says which.
    """
    for number, text in enumerate(texts):
        if not (isinstance(text, str) or (isinstance(text, tuple) and [*map(type, text)] == [str, str])):
            raise InputError(f"Text {number} is {_described(text)}; a text is a string, a pair a tuple of two strings.")
    encoded: list[Tokens | None] = [None] * len(texts)
    for is_pair in (False, True):
        chosen = [number for number, text in enumerate(texts) if isinstance(text, tuple) == is_pair]
        if chosen:
            group = [texts[number] for number in chosen]
            for number, tokens in zip(chosen, _encode_alike(vocabulary, group), strict=True):
                encoded[number] = tokens
    return [tokens for tokens in encoded if tokens is not None]


def with_words(vocabulary: Vocabulary, text: str | None, pair: str | None, words: OwnWords | None) -> Tokens:
    """Tokenise one text, or pair, with the caller's own words for the first in place of the Unicode ones.

    Raises:
        InputError: words that are not in the text in this order; no text and words that are not strings.
    """
    if text is None:
        if words is None or not all(isinstance(word, str) for word in words):
            raise InputError("Give a text, or words= as a list of strings to be joined by spaces.")
        text = join_words([word for word in words if isinstance(word, str)])
    (tokens,) = encode(vocabulary, [text if pair is None else (text, pair)])
    if words is None:
        return tokens
    chosen: tuple[Word, ...] = own_words(text, words)
    return replace(tokens, own_words=chosen + (unicode_words(pair, 1) if pair is not None else ()))


def encode_target(vocabulary: Vocabulary, target: str, start_id: int) -> Tokens:
    """What the decoder of an encoder-decoder reads for this target: the start token, then all but the last.

    So position t is given the target up to t-1, and its logits speak of target token t (teacher forcing).
    """
    (tokens,) = _encode_alike(vocabulary, [target], as_target=True)
    return replace(
        tokens,
        ids=np.concatenate([[start_id], tokens.ids[:-1]]),
        special_mask=np.concatenate([[True], tokens.special_mask[:-1]]),
        token_type_ids=np.zeros_like(tokens.token_type_ids),
        sequence=np.concatenate([[-1], tokens.sequence[:-1]]),
        reported=None if tokens.reported is None else np.concatenate([[[0, 0]], tokens.reported[:-1]]),
        cls_index=None,
    )


def _encode_alike(vocabulary: Vocabulary, texts: Sequence[Text], as_target: bool = False) -> list[Tokens]:
    """Tokenise texts that are all single or all pairs, in one call of the tokenizer."""
    tokenizer = vocabulary.tokenizer
    firsts = [text if isinstance(text, str) else text[0] for text in texts]
    seconds = [text[1] for text in texts if not isinstance(text, str)] or None
    options: dict[str, Any] = {"return_special_tokens_mask": True, "verbose": False}
    if tokenizer.is_fast:
        options["return_offsets_mapping"] = True
    encoding = tokenizer(text_target=firsts, **options) if as_target else tokenizer(firsts, seconds, **options)
    encoded = []
    for number, text in enumerate(texts):
        ids = np.array(encoding["input_ids"][number], dtype=np.int64)
        special = np.array(encoding["special_tokens_mask"][number], dtype=bool)
        types = encoding["token_type_ids"][number] if "token_type_ids" in encoding else np.zeros_like(ids)
        reported = None
        if tokenizer.is_fast:
            reported = np.array(encoding["offset_mapping"][number], dtype=np.int64).reshape(-1, 2)
            sequence = [-1 if one is None else one for one in encoding.sequence_ids(number)]
        else:
            sequence = _sequences_of_slow(tokenizer, text, special)
        encoded.append(
            Tokens(
                text=firsts[number],
                pair=None if isinstance(text, str) else text[1],
                vocabulary=vocabulary,
                ids=ids,
                special_mask=special,
                token_type_ids=np.array(types, dtype=np.int64),
                sequence=np.where(special, -1, np.array(sequence, dtype=np.int64)),
                cls_index=_cls_index(tokenizer, ids, special),
                reported=reported,
            )
        )
    return encoded


def _sequences_of_slow(tokenizer: Any, text: Text, special: Any) -> list[int]:
    """Which text each token belongs to, counted, since Python tokenizers do not say."""
    first = text if isinstance(text, str) else text[0]
    in_first = len(tokenizer(first, add_special_tokens=False, verbose=False)["input_ids"])
    ordinary = np.cumsum(~special)
    return [0 if count <= in_first else 1 for count in ordinary.tolist()]


def _cls_index(tokenizer: Any, ids: Any, special: Any) -> int | None:
    if tokenizer.cls_token_id is None:
        return None
    found = np.flatnonzero((ids == tokenizer.cls_token_id) & special)
    return int(found[0]) if len(found) else None


def _described(value: object) -> str:
    shown = repr(value)
    return f"{type(value).__name__} {shown if len(shown) <= 40 else shown[:37] + '...'}"
