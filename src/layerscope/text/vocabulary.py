"""What the items of a tokenizer's vocabulary spell, as bytes and as people read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

# How a tokenizer writes a space and a letter of three bytes shows how its tokens are to be read.
_PROBE, _SIGN = "a €", "€"
_SPACE_MARK = "▁"
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")

# Marks of Python tokenizers, whose models do not say: a word goes on, a word ends, a word goes on.
_PREFIX, _SUFFIXES = "##", ("</w>", "@@")

Spell = Callable[[str], bytes]


class Vocabulary:
    """The items of one tokenizer's vocabulary; what was looked up once is kept.

    `tokenizer` is the plain transformers object.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._prefix, self._suffixes = _affixes(tokenizer)
        self._spell = _speller(tokenizer)
        self._added: dict[int, str] = {
            int(index): str(token) for index, token in tokenizer.added_tokens_decoder.items()
        }
        self._known: dict[int, tuple[str, bytes | None]] = {}

    @property
    def name(self) -> str:
        """What the tokenizer is called."""
        return type(self.tokenizer).__name__

    def strings(self, ids: Iterable[int]) -> tuple[str, ...]:
        """Each token as people read it: " ghost", "##word", "<0xF0>"."""
        return tuple(self._look_up(int(index))[0] for index in ids)

    def spelt(self, ids: Iterable[int]) -> tuple[bytes | None, ...]:
        """The bytes of text that each token stands for, maybe part of a character; None if unknown."""
        return tuple(self._look_up(int(index))[1] for index in ids)

    def ids(self, texts: list[str]) -> list[list[int]]:
        """The ids of texts, without special tokens."""
        encoding = self.tokenizer(texts, add_special_tokens=False, verbose=False)
        return [[int(index) for index in own] for own in encoding["input_ids"]]

    def _look_up(self, index: int) -> tuple[str, bytes | None]:
        if index not in self._known:
            self._known[index] = self._read(index)
        return self._known[index]

    def _read(self, index: int) -> tuple[str, bytes | None]:
        is_unknown = index == self.tokenizer.unk_token_id
        if index in self._added:
            content = self._added[index]
            return content, None if is_unknown else content.encode()
        token = self.tokenizer.convert_ids_to_tokens(index)
        if token is None or is_unknown:
            return str(token or f"<{index}>"), None
        if self._prefix and token.startswith(self._prefix) and token != self._prefix:
            return token, self._spell(token.removeprefix(self._prefix))
        for suffix in self._suffixes:
            if token.endswith(suffix) and token != suffix:
                token = token.removesuffix(suffix)
        spelt = self._spell(token)
        return _display(spelt), spelt


@cache
def byte_alphabet() -> dict[str, int]:
    """The characters by which byte-level BPE writes bytes: printable Latin-1 as itself, the rest from U+0100.

    Source: Radford et al. 2019 (GPT-2), the encoder's byte table.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    table = {chr(byte): byte for byte in printable}
    table.update({chr(256 + number): byte for number, byte in enumerate(others)})
    return table


def _affixes(tokenizer: Any) -> tuple[str, tuple[str, ...]]:
    """What a tokenizer puts before a piece that continues a word, and behind one that ends it."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return _PREFIX, _SUFFIXES
    suffix = getattr(backend.model, "end_of_word_suffix", None)
    return getattr(backend.model, "continuing_subword_prefix", None) or "", (suffix,) if suffix else ()


def _speller(tokenizer: Any) -> Spell:
    """The function that spells this tokenizer's tokens, chosen by how it writes the probe."""
    written = "".join(map(str, tokenizer.tokenize(_PROBE)))
    as_byte = {byte: character for character, byte in byte_alphabet().items()}
    if "".join(as_byte[byte] for byte in _SIGN.encode()) in written:
        return _spell_byte_level
    if _SIGN.encode().decode("latin-1") in written:
        return _spell_latin
    return _spell_sentencepiece if _SPACE_MARK in written else str.encode


def _spell_byte_level(token: str) -> bytes:
    table = byte_alphabet()
    if all(character in table for character in token):
        return bytes(table[character] for character in token)
    return token.encode()


def _spell_latin(token: str) -> bytes:
    return token.encode("latin-1", errors="replace")


def _spell_sentencepiece(token: str) -> bytes:
    if byte := _BYTE.fullmatch(token):
        return bytes([int(byte[1], 16)])
    return token.replace(_SPACE_MARK, " ").encode()


def _display(spelt: bytes) -> str:
    """Bytes as people read them; those that are no whole character as <0xF0>.

    >>> _display(" ghost".encode()), _display(bytes([0xF0, 0x9F]))
    (' ghost', '<0xF0><0x9F>')
    """
    try:
        return spelt.decode()
    except UnicodeDecodeError:
        partial = spelt.decode("utf-8", "surrogateescape")
        return "".join(f"<0x{ord(c) - 0xDC00:02X}>" if "\udc80" <= c <= "\udcff" else c for c in partial)
