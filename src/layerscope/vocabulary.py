"""What the items of a tokenizer's vocabulary spell, as bytes and as people read them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE_MARK = "▁"
_CONTINUES = "##"
_ENDS = ("</w>", "@@")

Spell = Callable[[str], bytes]


class Vocabulary:
    """The items of one tokenizer's vocabulary; what was looked up once is kept.

    `tokenizer` is the plain transformers object.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._spell = _speller(tokenizer)
        self._added: dict[int, str] = {
            int(index): str(token) for index, token in tokenizer.added_tokens_decoder.items()
        }
        self._known: dict[int, tuple[str, bytes | None]] = {}

    def strings(self, ids: Iterable[int]) -> tuple[str, ...]:
        """Each token as people read it: " ghost", "##word", "<0xF0>"."""
        return tuple(self._look_up(int(index))[0] for index in ids)

    def spelt(self, ids: Iterable[int]) -> tuple[bytes | None, ...]:
        """The bytes of text that each token stands for, maybe a part of a character; None for the unknown one."""
        return tuple(self._look_up(int(index))[1] for index in ids)

    def _look_up(self, index: int) -> tuple[str, bytes | None]:
        if index not in self._known:
            if index in self._added:
                content = self._added[index]
                spelt = None if index == self.tokenizer.unk_token_id else content.encode()
                self._known[index] = (content, spelt)
            else:
                token = self.tokenizer.convert_ids_to_tokens(index)
                if token is None or index == self.tokenizer.unk_token_id:
                    self._known[index] = (str(token or f"<{index}>"), None)
                else:
                    spelt = self._spell(token)
                    self._known[index] = (_display(token, spelt), spelt)
        return self._known[index]


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


def _speller(tokenizer: Any) -> Spell:
    """The function that spells this tokenizer's tokens, chosen by how the tokenizer itself decodes."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        decoders = _decoder_types(backend.decoder)
        if "ByteLevel" in decoders:
            return _spell_byte_level
        if "Metaspace" in decoders or "ByteFallback" in decoders or _SPACE_MARK in str(decoders):
            return _spell_sentencepiece
        return _spell_plain
    bases = {base.__name__ for base in type(tokenizer).__mro__}
    if "ByT5Tokenizer" in bases:
        return lambda token: token.encode("latin-1", errors="replace")
    if "SentencePieceBackend" in bases:
        return _spell_sentencepiece
    return _spell_plain


def _decoder_types(decoder: Any) -> list[str]:
    """The types of a tokenizers decoder and, for a sequence, of its parts; a Replace by what it replaces."""
    if decoder is None:
        return []
    state = json.loads(decoder.__getstate__())
    parts = state.get("decoders", [state])
    return [part["type"] if part["type"] != "Replace" else str(part["pattern"]) for part in parts]


def _spell_byte_level(token: str) -> bytes:
    table = byte_alphabet()
    if all(character in table for character in token):
        return bytes(table[character] for character in token)
    return token.encode()


def _spell_sentencepiece(token: str) -> bytes:
    if byte := _BYTE.fullmatch(token):
        return bytes([int(byte[1], 16)])
    return token.replace(_SPACE_MARK, " ").encode()


def _spell_plain(token: str) -> bytes:
    """WordPiece's ##, and the marks by which other Python tokenizers say that a word goes on or ends."""
    if token.startswith(_CONTINUES) and token != _CONTINUES:
        return token.removeprefix(_CONTINUES).encode()
    for mark in _ENDS:
        if token.endswith(mark) and token != mark:
            return token.removesuffix(mark).encode()
    return token.encode()


def _display(token: str, spelt: bytes) -> str:
    """A token as people read it; bytes that are no whole character as <0xF0>.

    >>> _display("Ġghost", b" ghost"), _display("##word", b"word"), _display("ðŁ", bytes([0xF0, 0x9F]))
    (' ghost', '##word', '<0xF0><0x9F>')
    """
    if token.startswith(_CONTINUES):
        return token
    try:
        return spelt.decode()
    except UnicodeDecodeError:
        partial = spelt.decode("utf-8", "surrogateescape")
        return "".join(c if c.isprintable() else f"<0x{c.encode('utf-8', 'surrogateescape')[0]:02X}>" for c in partial)
