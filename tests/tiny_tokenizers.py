"""Small tokenizers, trained here, in the files and with the pipeline their families publish.

Each kind writes what the family's folder on the hub holds (tokenizer.json, or vocabulary files
only, and tokenizer_config.json), not what transformers 5 would save. What AutoTokenizer makes of
those files, right or wrong, is then what a user gets.
"""

import functools
import io
import json
import string
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import transformers
from sentencepiece import SentencePieceTrainer, sentencepiece_model_pb2
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

POSITIONS = 64
UNLIMITED = int(1e30)  # what transformers writes for a tokenizer that knows no limit
SPACES = tuple(" " * n for n in (4, 3, 2))
TEXTS = (
    "Then the old man told me a story about my mother and her ghost.",
    "I tried to find the way home, but the snow had covered every path.",
    "Some people tried to find gold; others only found a cold river.",
    "The doctor said that she was embracing her work with joy.",
    "What did you do when the lights went out?",
    "The cat sat on the mat and looked at the moon.",
    "A dog chased the cat around the garden, and then it slept.",
    "My brother's boat is at the bottom of the lake.",
    "She doesn't know how to swim, and I can't teach her.",
    "We'll meet at noon; they've said they're coming too.",
    "In 1984 the town had 3,521 people and two schools.",
    "The price rose by 12.5 % in May, from $40 to $45.",
    "Paris is the capital of France, and Berlin is the capital of Germany.",
    "The president spoke to the press about the new law.",
    "Python is a language; a python is also a snake.",
    "The bank of the river was green, but the bank in town was closed.",
    "Reading and writing are taught together in our school.",
    "He was walking, talking and singing, all at the same time.",
    "The unhappiest people were the happiest after the play.",
    "Every morning the baker opens the shop and smells the bread.",
    "The quick brown fox jumps over the lazy dog near the zoo.",
    "BIG LETTERS ARE HARD TO READ, BUT SOME PEOPLE LIKE THEM.",
    "John met Mary in London; Quentin and Xavier stayed in New York.",
    "Questions such as why, when, where and how keep us thinking.",
    "The film was wonderful: the actors were good, the music was better.",
    "The food was terrible and the waiter was rude to my friends.",
    "def add(a, b):\n    return a + b  # a sum",
    "One  two   three    spaces, and a tab\there.",
    "Send it to me_and_you@example.org (or call 555-0199)!",
    "\"Who is there?\" she asked. 'Nobody,' he said - twice.",
    "Das Mädchen läuft über die Straße und grüßt den Bäcker.",
    "Schöne Grüße aus Köln, wo das Wetter heute gut ist.",
    "L'été dernier, nous avons mangé des crêpes à la plage.",
    "Où est passé le garçon naïf ? Il est au café, bien sûr.",
    "我喜欢在家里看书。",
    "今天天气很好，我们去公园吧。",
    "أحب القراءة في البيت.",
    "الطقس جميل اليوم.",
    "Good morning 😀 and good night 😴!",
    "I ❤️ the sea, the family 👩‍👩‍👧 and the rain ☔.",
)


@dataclass(frozen=True)
class Kind:
    """A tokenizer as published: who loads it, what writes its files, its tokenizer_config.json."""

    loaded_as: str
    write: Callable[[Path], None]
    config: dict[str, object]


def write(kind: str, folder: Path) -> None:
    """Writes the files of a kind of tokenizer into an existing folder."""
    KINDS[kind].write(folder)
    text = json.dumps(KINDS[kind].config, ensure_ascii=False, indent=2)
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


@functools.cache
def tokenizer(kind: str) -> transformers.PreTrainedTokenizerBase:
    """The loaded tokenizer of a kind; the same object every time, so do not change it."""
    with tempfile.TemporaryDirectory() as folder:
        write(kind, Path(folder))
        return getattr(transformers, KINDS[kind].loaded_as).from_pretrained(folder)


# Vocabularies. Trained once a process; special tokens are numbered where the family has them.


def numbered(*groups: tuple[str, ...]) -> dict[str, int]:
    """Pieces to ids, in the order given."""
    return {piece: i for i, piece in enumerate(piece for group in groups for piece in group)}


@functools.cache
def word_pieces() -> tuple[str, ...]:
    """WordPiece pieces of the lower-cased texts: characters, then frequent words and endings."""
    words = Counter()
    for text in TEXTS:
        text = normalizers.BertNormalizer().normalize_str(text)
        words.update(word for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(text))
    # The library's trainer numbers ties differently in each process. A count does not.
    letters = sorted({letter for word in words for letter in word})
    whole = [word for word, _ in sorted(words.items(), key=lambda item: (-item[1], item[0])) if len(word) > 1]
    endings = Counter()
    for word, count in words.items():
        endings.update({word[start:]: count for start in range(1, len(word) - 1) if len(word) - start <= 4})
    common = [ending for ending, _ in sorted(endings.items(), key=lambda item: (-item[1], item[0]))[:60]]
    return (
        *letters,
        *("##" + letter for letter in letters),
        *whole[:150],
        *("##" + ending for ending in common),
    )


def trained_bpe(pre_tokenizer, alphabet: list[str], pieces: int):
    """BPE pieces (the alphabet first) and merges of the texts: (tuple of str, tuple of pairs)."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=pieces, initial_alphabet=alphabet, limit_alphabet=len(alphabet), show_progress=False
    )
    learner.train_from_iterator(TEXTS, trainer)
    model = json.loads(learner.to_str())["model"]
    return tuple(sorted(model["vocab"], key=model["vocab"].get)), tuple(map(tuple, model["merges"]))


@functools.cache
def byte_level_bpe() -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Pieces over the 256 byte characters, and merges."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    return trained_bpe(pre_tokenizers.ByteLevel(add_prefix_space=False), alphabet, 480)


@functools.cache
def space_mark_bpe() -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Pieces with "▁" for a space, and merges. Letters beyond these must be spelt as bytes."""
    letters = [*string.ascii_letters, *string.digits, *string.punctuation, *"éèüäß", "▁"]
    words = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
    return trained_bpe(words, letters, 260)


BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))


@functools.cache
def sentencepiece_model(**settings: object) -> bytes:
    """A sentencepiece unigram model file, with the NFKC table the published ones carry."""
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=model,
        vocab_size=400,
        hard_vocab_limit=False,  # so few texts may hold fewer pieces
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
        **settings,
    )
    return model.getvalue()


@functools.cache
def unigram() -> tuple[tuple[tuple[str, float], ...], bytes]:
    """Pieces with log-probabilities, special ones left out, and the NFKC table."""
    spec = sentencepiece_model_pb2.ModelProto.FromString(sentencepiece_model())
    pieces = tuple((piece.piece, piece.score) for piece in spec.pieces if piece.type == piece.NORMAL)
    return pieces, spec.normalizer_spec.precompiled_charsmap


# Pipelines, as the families' tokenizer.json have them.


def pipeline(model, *, special=(), normalizer=None, splitter=None, template=None, decoder=None) -> Tokenizer:
    """A tokenizer of the library, from its parts. Tokens in `special` are known to the model already."""
    made = Tokenizer(model)
    parts = {
        "normalizer": normalizer,
        "pre_tokenizer": splitter,
        "post_processor": template,
        "decoder": decoder,
    }
    for name, part in parts.items():
        if part is not None:
            setattr(made, name, part)
    made.add_special_tokens(list(special))
    return made


def template(ids: dict[str, int], single: str, pair: str) -> processors.TemplateProcessing:
    """A template; its special tokens are those of its words that have an id."""
    words = {word.split(":")[0] for word in pair.split()}
    return processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[(word, ids[word]) for word in sorted(words) if word in ids]
    )


def mask(token: str) -> AddedToken:
    """A mask token that swallows the space before it."""
    return AddedToken(token, lstrip=True, special=True, normalized=False)


def bert() -> Tokenizer:
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    ids = numbered(special, word_pieces())
    return pipeline(
        models.WordPiece(ids, unk_token="[UNK]"),
        special=special,
        normalizer=normalizers.BertNormalizer(),
        splitter=pre_tokenizers.BertPreTokenizer(),
        template=template(ids, "[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"),
        decoder=decoders.WordPiece(),
    )


def mpnet() -> Tokenizer:
    before = ("<s>", "<pad>", "</s>", "<unk>", "[UNK]")
    ids = numbered(before, word_pieces(), ("<mask>",))
    return pipeline(
        models.WordPiece(ids, unk_token="[UNK]"),
        special=(*before, mask("<mask>")),
        normalizer=normalizers.BertNormalizer(),
        splitter=pre_tokenizers.BertPreTokenizer(),
        template=processors.RobertaProcessing(
            ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False
        ),
        decoder=decoders.WordPiece(),
    )


def byte_level(
    before=(), after=(), *, special=(), plain=(), normalizer=None, splitter=None, template=None
) -> Tokenizer:
    """GPT-2's pipeline, with special tokens before and after the pieces; the families vary its parts."""
    pieces, merges = byte_level_bpe()
    made = pipeline(
        models.BPE(numbered(before, pieces, plain, after), list(merges)),
        special=special or (*before, *after),
        normalizer=normalizer,
        splitter=splitter or pre_tokenizers.ByteLevel(add_prefix_space=False),
        template=template or processors.ByteLevel(trim_offsets=False),
        decoder=decoders.ByteLevel(),
    )
    made.add_tokens([AddedToken(token, normalized=True) for token in plain])
    return made


def roberta() -> Tokenizer:
    before = ("<s>", "<pad>", "</s>", "<unk>")
    ends = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return byte_level(before, ("<mask>",), special=(*before, mask("<mask>")), template=ends)


def modern_bert() -> Tokenizer:
    after = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")
    ids = numbered(byte_level_bpe()[0], SPACES, after)
    return byte_level(
        after=after,
        special=(*after[:-1], mask("[MASK]")),
        plain=SPACES,
        normalizer=normalizers.NFC(),
        template=template(ids, "[CLS]:0 $A:0 [SEP]:0", "[CLS]:0 $A:0 [SEP]:0 $B:0 [SEP]:0"),
    )


def bloom() -> Tokenizer:
    words = pre_tokenizers.Split(Regex(r" ?[^(\s|[.,!?…。，、।۔،])]+"), "isolated")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return byte_level(("<unk>", "<s>", "</s>", "<pad>"), splitter=pre_tokenizers.Sequence([words, bytes_]))


def falcon() -> Tokenizer:
    steps = [
        pre_tokenizers.Punctuation("contiguous"),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated"),
    ]
    return byte_level(
        (">>TITLE<<", "<|endoftext|>"),
        splitter=pre_tokenizers.Sequence(steps),
        template=processors.ByteLevel(add_prefix_space=False, trim_offsets=True),
    )


QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def qwen() -> Tokenizer:
    words = pre_tokenizers.Split(Regex(QWEN_WORDS), "isolated")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    return byte_level(
        after=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        normalizer=normalizers.NFC(),
        splitter=pre_tokenizers.Sequence([words, bytes_]),
        template=processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
    )


def opt_files(folder: Path) -> None:
    """OPT publishes GPT-2's two vocabulary files and no tokenizer.json."""
    pieces, merges = byte_level_bpe()
    models.BPE(numbered(("<s>", "<pad>", "</s>", "<unk>"), pieces), list(merges)).save(str(folder))


def byte_fallback(special, bos: str, *, normalizer, splitter=None, strip=()) -> Tokenizer:
    """Sentencepiece BPE that spells unknown letters as bytes; the first token is `bos`."""
    pieces, merges = space_mark_bpe()
    ids = numbered(special, BYTES, pieces)
    return pipeline(
        models.BPE(ids, list(merges), unk_token="<unk>", fuse_unk=True, byte_fallback=True),
        special=special,
        normalizer=normalizer,
        splitter=splitter,
        template=template(ids, f"{bos}:0 $A:0", f"{bos}:0 $A:0 {bos}:1 $B:1"),
        decoder=decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
        ),
    )


def llama() -> Tokenizer:
    marks = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return byte_fallback(("<unk>", "<s>", "</s>"), "<s>", normalizer=marks, strip=[decoders.Strip(" ", 1, 0)])


def gemma() -> Tokenizer:
    return byte_fallback(
        ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>"),
        "<bos>",
        normalizer=normalizers.Replace(" ", "▁"),
        splitter=pre_tokenizers.Split(" ", "merged_with_previous"),
    )


def space_mark_unigram(
    before, after=(), *, unk: str, single: str, pair: str, steps=(), special=None
) -> Tokenizer:
    """Sentencepiece unigram with the NFKC table after the given normalizer steps."""
    pieces, table = unigram()
    scored = [*((token, 0.0) for token in before), *pieces, *((token, 0.0) for token in after)]
    nfkc = normalizers.Precompiled(table)
    return pipeline(
        models.Unigram(scored, before.index(unk), False),
        special=special or (*before, *after),
        normalizer=normalizers.Sequence([*steps, nfkc]) if steps else nfkc,
        splitter=pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
        template=template(numbered([piece for piece, _ in scored]), single, pair),
        decoder=decoders.Metaspace(),
    )


def xlm_roberta() -> Tokenizer:
    before = ("<s>", "<pad>", "</s>", "<unk>")
    return space_mark_unigram(
        before,
        ("<mask>",),
        unk="<unk>",
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special=(*before, mask("<mask>")),
    )


def albert() -> Tokenizer:
    before = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
    quotes = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    return space_mark_unigram(
        before,
        unk="<unk>",
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        steps=[*quotes, normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()],
        special=(*before[:-1], mask("[MASK]")),
    )


SENTINELS = tuple(f"<extra_id_{i}>" for i in range(4))


def t5() -> Tokenizer:
    before = ("<pad>", "</s>", "<unk>")
    return space_mark_unigram(before, SENTINELS[::-1], unk="<unk>", single="$A </s>", pair="$A </s> $B </s>")


def deberta_files(folder: Path) -> None:
    """DeBERTa-v3 publishes its sentencepiece model only."""
    names = {"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"}
    ids = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
    (folder / "spm.model").write_bytes(sentencepiece_model(**names, **ids))


def saved(make: Callable[[], Tokenizer]) -> Callable[[Path], None]:
    """A writer of tokenizer.json."""
    return lambda folder: make().save(str(folder / "tokenizer.json"))


LIMIT = {"model_max_length": POSITIONS}
LLAMA_CONFIG = {
    "tokenizer_class": "LlamaTokenizer",
    "model_max_length": UNLIMITED,
    "add_bos_token": True,
    "add_eos_token": False,
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "clean_up_tokenization_spaces": False,
}
KINDS = {
    "wordpiece": Kind("BertTokenizer", saved(bert), {"do_lower_case": True, **LIMIT}),
    "mpnet": Kind(
        "MPNetTokenizer",
        saved(mpnet),
        {"tokenizer_class": "MPNetTokenizer", "do_lower_case": True, "unk_token": "[UNK]", **LIMIT},
    ),
    "roberta": Kind("RobertaTokenizer", saved(roberta), LIMIT),
    "modernbert": Kind(
        "TokenizersBackend",
        saved(modern_bert),
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "mask_token": "[MASK]",
            "model_input_names": ["input_ids", "attention_mask"],
            **LIMIT,
        },
    ),
    "bytelevel": Kind("GPT2Tokenizer", saved(lambda: byte_level(after=("<|endoftext|>",))), LIMIT),
    "neox": Kind(
        "GPTNeoXTokenizer",
        saved(
            lambda: byte_level(
                ("<|endoftext|>", "<|padding|>"),
                plain=SPACES,
                normalizer=normalizers.NFC(),
                template=processors.ByteLevel(add_prefix_space=False, trim_offsets=True),
            )
        ),
        {"tokenizer_class": "GPTNeoXTokenizer", "add_prefix_space": False, "model_max_length": UNLIMITED},
    ),
    "opt": Kind(
        "GPT2Tokenizer",
        opt_files,
        {
            "tokenizer_class": "GPT2Tokenizer",
            "bos_token": "</s>",
            "eos_token": "</s>",
            "unk_token": "</s>",
            "pad_token": "<pad>",
            "add_bos_token": True,
            "add_prefix_space": False,
        },
    ),
    "bloom": Kind(
        "TokenizersBackend",
        saved(bloom),
        {
            "tokenizer_class": "BloomTokenizerFast",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "pad_token": "<pad>",
            "padding_side": "left",
        },
    ),
    "falcon": Kind(
        "TokenizersBackend",
        saved(falcon),
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": "<|endoftext|>",
            "model_input_names": ["input_ids", "attention_mask"],
            **LIMIT,
        },
    ),
    # One tokenizer.json, two loads: transformers builds Llama's pipeline anew and keeps Mistral's.
    "llama": Kind("LlamaTokenizer", saved(llama), {**LLAMA_CONFIG, "legacy": False, "pad_token": None}),
    "mistral": Kind("TokenizersBackend", saved(llama), {**LLAMA_CONFIG, "legacy": True, "pad_token": None}),
    "gemma": Kind(
        "GemmaTokenizer",
        saved(gemma),
        {
            **LLAMA_CONFIG,
            "tokenizer_class": "GemmaTokenizer",
            "bos_token": "<bos>",
            "eos_token": "<eos>",
            "pad_token": "<pad>",
        },
    ),
    "qwen": Kind(
        "Qwen2Tokenizer",
        saved(qwen),
        {
            "tokenizer_class": "Qwen2Tokenizer",
            "bos_token": None,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "unk_token": None,
            "add_bos_token": False,
            "model_max_length": 2 * POSITIONS,  # Qwen3 too promises more than its config allows
        },
    ),
    "xlm-roberta": Kind("XLMRobertaTokenizer", saved(xlm_roberta), LIMIT),
    "albert": Kind("AlbertTokenizer", saved(albert), LIMIT),
    "t5": Kind(
        "T5Tokenizer",
        saved(t5),
        {"extra_ids": len(SENTINELS), "additional_special_tokens": list(SENTINELS), **LIMIT},
    ),
    "deberta-v2": Kind("DebertaV2Tokenizer", deberta_files, {"do_lower_case": False, "vocab_type": "spm"}),
}


# Tokenizers that run in Python and know no offsets.


def byt5(folder: Path) -> transformers.PreTrainedTokenizerBase:
    """Bytes; id = byte + 3. It has no vocabulary file."""
    return transformers.ByT5Tokenizer(extra_ids=len(SENTINELS))


def bert_generation(folder: Path) -> transformers.PreTrainedTokenizerBase:
    """Sentencepiece through its own library, NFKC inside, no special tokens around the text."""
    (folder / "spiece.model").write_bytes(sentencepiece_model(pad_id=0, eos_id=1, bos_id=2, unk_id=3))
    return transformers.BertGenerationTokenizer(str(folder / "spiece.model"))


def prophetnet(folder: Path) -> transformers.PreTrainedTokenizerBase:
    """WordPiece in Python: lower case, accents stripped, Chinese characters apart."""
    special = ("[PAD]", "[UNK]", "[CLS]", "[X_SEP]", "[SEP]", "[MASK]")
    lines = "\n".join(numbered(special, word_pieces()))
    (folder / "prophetnet.tokenizer").write_text(lines + "\n", encoding="utf-8")
    return transformers.ProphetNetTokenizer(str(folder / "prophetnet.tokenizer"))


SLOW_TOKENIZERS = {"byt5": byt5, "bert-generation": bert_generation, "prophetnet": prophetnet}
