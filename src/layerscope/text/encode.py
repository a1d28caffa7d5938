"""From text to `Tokens`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import InputError, LayerscopeError
from layerscope.shown import first_line
from layerscope.text.tokens import Tokens
from layerscope.text.vocabulary import Vocabulary
from layerscope.text.words import OwnWords as OwnWords
from layerscope.text.words import join_words, own_words, unicode_words

# What can be run: a text, a pair of texts, or what `Model.tokenize` made of one.
Text = str | tuple[str, str] | Tokens
Untokenised = str | tuple[str, str]
Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]


def list_of_texts(given: Any, what: str = "texts") -> list[Any]:
    """A list, series, array or generator of texts as a list.

    Raises:
        InputError: a single text, bytes, a table, a mapping, or nothing that holds texts.
    """
    is_series = hasattr(given, "tolist") and getattr(given, "ndim", 0) == 1
    is_other = isinstance(given, str | bytes | Mapping | Tokens) or hasattr(given, "columns")
    if is_other or not (is_series or isinstance(given, Iterable)) or getattr(given, "ndim", 1) == 0:
        raise InputError(f"{what} is to be a list of texts, not {type(given).__name__} {_shown(given)}.")
    return given.tolist() if is_series else list(given)


def encode(vocabulary: Vocabulary, texts: Sequence[Text]) -> list[Tokens]:
    """Tokenise texts, or pairs of texts, with the template's special tokens; nothing is cut or padded.

    Tokens stay what they are.

    Raises:
        InputError: an item is neither a string nor a pair of strings, is not valid Unicode, or are the
            tokens of another tokenizer; the message says which.
    """
    for number, text in enumerate(texts):
        what = f"Text {number}" if len(texts) > 1 else "The text"
        if not isinstance(text, Tokens):
            check_text(text, what)
        elif text.vocabulary is not vocabulary:
            raise InputError(f"{what} was tokenised for another model; tokenise it with this one's tokenize.")
    encoded = [text if isinstance(text, Tokens) else None for text in texts]
    for is_pair in (False, True):
        kind: type[Any] = tuple if is_pair else str
        chosen = [number for number, text in enumerate(texts) if isinstance(text, kind)]
        if chosen:
            group = [text for text in texts if isinstance(text, kind)]
            for number, tokens in zip(chosen, _encode_alike(vocabulary, group), strict=True):
                encoded[number] = tokens
    return [tokens for tokens in encoded if tokens is not None]


def with_words(vocabulary: Vocabulary, text: str | None, pair: str | None, words: OwnWords | None) -> Tokens:
    """Tokenise one text, or pair, with the caller's own words for the first in place of the Unicode ones.

    Raises:
        InputError: words that are not in the text in this order; no text and words that are not strings.
    """
    if text is None:
        if words is None or isinstance(words, str) or not all(isinstance(word, str) for word in words):
            raise InputError("Give a text, or words= as a list of strings to be joined by spaces.")
        text = join_words([word for word in words if isinstance(word, str)])
    (tokens,) = encode(vocabulary, [text if pair is None else (text, pair)])
    if words is None:
        return tokens
    return replace(tokens, own_words=own_words(text, words) + unicode_words(pair or "", sequence=1))


def encode_target(vocabulary: Vocabulary, target: str, start_id: int) -> Tokens:
    """What the decoder of an encoder-decoder reads for this target: the start token, then all but the last.

    So position t is given the target up to t-1, and its logits speak of target token t (teacher forcing).
    """
    if not isinstance(target, str):
        raise InputError(f"The target is {type(target).__name__} {_shown(target)}; a target is one string.")
    check_text(target, "The target")
    (tokens,) = _encode_alike(vocabulary, [target], as_target=True)
    started = replace(
        tokens,
        ids=np.concatenate([[start_id], tokens.ids]),
        special_mask=np.concatenate([[True], tokens.special_mask]),
        token_type_ids=np.zeros(len(tokens) + 1, dtype=np.int64),
        sequence=np.concatenate([[-1], tokens.sequence]),
        reported=None if tokens.reported is None else np.concatenate([[[0, 0]], tokens.reported]),
        cls_index=None,
    )
    return replace(started.keep(np.arange(len(tokens))), num_cut=0)


def _encode_alike(
    vocabulary: Vocabulary, texts: Sequence[Untokenised], as_target: bool = False
) -> list[Tokens]:
    """Tokenise texts that are all single or all pairs.

    Raises:
        InputError: the tokenizer raised an error; the message says which, and on which text.
    """
    try:
        return _encode_at_once(vocabulary, texts, as_target)
    except LayerscopeError:
        raise
    except Exception as error:
        if len(texts) > 1:  # which one?
            return [tokens for text in texts for tokens in _encode_alike(vocabulary, [text], as_target)]
        raise InputError(
            f"{type(vocabulary.tokenizer).__name__} raised {type(error).__name__} when it tokenised "
            f"{_shown(texts[0])}: {first_line(error)}"
        ) from error


def _encode_at_once(vocabulary: Vocabulary, texts: Sequence[Untokenised], as_target: bool) -> list[Tokens]:
    """Tokenise them in one call of the tokenizer."""
    tokenizer = vocabulary.tokenizer
    firsts = [text if isinstance(text, str) else text[0] for text in texts]
    seconds = [text[1] for text in texts if not isinstance(text, str)] or None
    options: dict[str, Any] = {"return_special_tokens_mask": True, "verbose": False}
    if tokenizer.is_fast:
        options["return_offsets_mapping"] = True
    inputs = {"text_target": firsts} if as_target else {"text": firsts, "text_pair": seconds}
    encoding = tokenizer(**inputs, **options)
    encoded = []
    for number, text in enumerate(texts):
        ids = np.array(encoding["input_ids"][number], dtype=np.int64)
        reported = None
        if tokenizer.is_fast:
            special = np.array(encoding["special_tokens_mask"][number], dtype=bool)
            reported = np.array(encoding["offset_mapping"][number], dtype=np.int64).reshape(-1, 2)
            sequence = np.array(
                [-1 if one is None else one for one in encoding.sequence_ids(number)], dtype=np.int64
            )
        else:
            given = np.array(encoding["special_tokens_mask"][number], dtype=bool)
            special, sequence = _parts_of_slow(vocabulary, text, ids, given)
        types = encoding["token_type_ids"][number] if "token_type_ids" in encoding else np.zeros_like(ids)
        encoded.append(
            Tokens(
                text=firsts[number],
                pair=None if isinstance(text, str) else text[1],
                vocabulary=vocabulary,
                ids=ids,
                special_mask=special,
                token_type_ids=np.array(types, dtype=np.int64),
                sequence=np.where(special, -1, sequence),
                cls_index=_cls_index(tokenizer, ids, special),
                reported=reported,
            )
        )
    return encoded


def _parts_of_slow(vocabulary: Vocabulary, text: Untokenised, ids: Ids, given: Flags) -> tuple[Flags, Ids]:
    """Which tokens are special, and which text each of the others is of; Python tokenizers do not say.

    Some give a mask that is too long where a text ends with its special token typed out, which they do not
    put there twice. The texts' own tokens are then looked for.
    """
    parts = vocabulary.ids([text] if isinstance(text, str) else list(text))
    if len(given) == len(ids):
        return given, np.where(np.cumsum(~given) <= len(parts[0]), 0, 1)
    sequence = np.full(len(ids), -1, dtype=np.int64)
    start = 0
    for number, part in enumerate(parts):
        while start + len(part) < len(ids) and ids[start : start + len(part)].tolist() != part:
            start += 1
        sequence[start : start + len(part)] = number
        start += len(part)
    return sequence < 0, sequence


def _cls_index(tokenizer: Any, ids: Ids, special: Flags) -> int | None:
    if tokenizer.cls_token_id is None:
        return None
    found = np.flatnonzero((ids == tokenizer.cls_token_id) & special)
    return int(found[0]) if len(found) else None


def check_text(text: object, what: str) -> None:
    """Raise an `InputError` unless this is a text or a pair of texts, of whole characters only.

    `what` is what the message calls it: "Text 3".
    """
    parts = text if isinstance(text, tuple) and len(text) == 2 else (text,)
    for part in parts:
        if not isinstance(part, str):
            raise InputError(
                f"{what} is {type(text).__name__} {_shown(text)}; a text is a string, a pair a tuple of two."
            )
        try:
            part.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{what} has half a surrogate pair, U+{ord(part[error.start]):04X}, at position {error.start}: "
                "no character; decode its bytes anew, or put '\\ufffd' in its place."
            ) from None


def _shown(value: object) -> str:
    shown = " ".join(repr(value).split())
    return shown if len(shown) <= 40 else shown[:37] + "..."
