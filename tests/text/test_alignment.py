"""Tokens stand where they must, on every tokenizer, or an error says that they cannot be placed.

`complaints` is the judge: it knows nothing of how the alignment works, only what must be true of a result.
"""

import unicodedata
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerscope.errors import AlignmentError
from layerscope.text.encode import encode
from vocabularies import EVERY, FAST, SLOW, vocabulary

TEXTS = (
    "Then I tried to find some way of embracing my mother's ghost.",
    "  leading, trailing   and\u00a0odd\u3000spaces\u2003 ",
    "\ta\t\tb\nc\r\nd\n\n",
    "café naïve Ångström, cafe\u0301 nai\u0308ve A\u030angstro\u0308m, tie\u0302\u0301ng Việt",
    "e\u0334\u0335x q\u0323\u0307 q\u0307\u0323 \u0301abc",
    "ﬁne oﬃce ŉ ǆ ß ẞ İstanbul ı Οδός ſ Å",
    "½ cup and 3½ … ² ℃ ㎏ № ™ ㈱ x² + y₂ = ∑",
    "family 👩‍👩‍👧 and 👨🏽‍🚀 here 🇩🇪🇫🇷 ❤️ ☎︎ 1️⃣ 😀😀😀x😀",
    "我喜欢在家里看书。今天 天气很好，English中文mixed",
    "私は家で本を読むのが好きです。カタカナ ｶﾞ ー",
    "나는 집에서 책을 읽는다. \u1102\u1161\u1102\u1173\u11ab",
    "أَحَبَّ القِرَاءَةَ فِي البَيْتِ ﷺ ـــ لا ١٢٣",
    "मैं घर पर किताब पढ़ना पसंद करता हूँ। ฉันชอบอ่านหนังสือ น้ำ བོད་སྐད་",
    "\u202aabc\u202c \u200fשָׁלוֹם\u200e a\u200bb \u200d c\ufeffd \u2060 e\u00adf",
    "a\x00b \x00 c\x01d\x7f a\ufffdb \ufffd \ue000 \U000e0fff",
    "a ##b ##ing ## ▁a a▁b Ġa aĠb a@@ b</w> <0x41>",
    "☃ snow ☃ man ☃☃ x☃y ᚠᚢᚦ ᚠ a ᚠ 𓀀𓀁 the 𓀂",
    "``hi'' \"x\" «a» ‘b’ — (c) [d]!!! a_b e@f.gr 3.14 1,000 $5 50%",
    "def f(x):\n    return x\n\n\n  # c",
    "▁aA\u030angstro\u0308m ک\uff7dﷻフ\u202b۝ﭯۯモﶺ",
    "☃☃☃",
    "",
    " ",
    " \t\n",
    "\u200b",
    "\x00",
    "\u0301",
    "\u00ad",
)
# Tokens that are typed in the text are given ids of their own; where, depends on the tokenizer.
TYPED = (
    "The [MASK] is [CLS] here",
    "x[MASK]y  <mask>z",
    "<s> a </s> b <|endoftext|> [UNK] <unk> c <extra_id_0>",
)


def encoded(kind, text):
    with warnings.catch_warnings(action="ignore"):  # ByT5 warns of its typed end token
        return encode(vocabulary(kind), [text])[0]


def letters(text):
    """Letters and digits as every tokenizer keeps them: decomposed, folded, without marks."""
    text = unicodedata.normalize("NFKD", text)
    text = "".join(letter for letter in text if unicodedata.category(letter)[0] != "M")
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(letter for letter in text if unicodedata.category(letter)[0] in "LN")


def complaints(tokens):
    """What is wrong with where tokens stand and which words they belong to."""
    found = []
    texts = (tokens.text,) if tokens.pair is None else (tokens.text, tokens.pair)
    for number, text in enumerate(texts):
        offsets = tokens.offsets[tokens.sequence == number]
        inside = np.zeros(len(text) + 1, dtype=bool)
        for start, end in offsets.tolist():
            if not 0 <= start <= end <= len(text):
                found.append(f"({start}, {end}) is no range")
            inside[start:end] = True
        if (np.diff(offsets, axis=0) < 0).any():
            found.append("offsets go back")
        found += [
            f"{c!r} is in no token"
            for c, known in zip(text, inside, strict=False)
            if letters(c) and not known
        ]
    if tokens.offsets[tokens.special_mask].any():
        found.append("a special token has a place")
    spelt = tokens.vocabulary.spelt(tokens.ids)
    users = Counter(token for span in tokens.word_spans for token in range(span.start, span.stop))
    for word, span in zip(tokens.words, tokens.word_spans, strict=True):
        own = range(span.start, span.stop)
        if letters(word.text) and not len(span):
            found.append(f"{word} has no tokens")
        if None in (spelt[token] for token in own):
            continue
        spoken = letters(b"".join(spelt[token] for token in own).decode(errors="replace"))
        is_shared = any(users[token] > 1 for token in own)
        if not (letters(word.text) in spoken if is_shared else letters(word.text) == spoken):
            found.append(f"{word} is spelt {tokens.strings[span.start : span.stop]}")
    for one, other in pairwise(span for span in tokens.word_spans if len(span)):
        if one.sequence == other.sequence and other.start < one.stop - 1:
            found.append(f"{one} and {other} overlap by more than a token")
    return found


def judged(tokens):
    """Complaints, none if the alignment was refused."""
    try:
        return complaints(tokens)
    except AlignmentError:
        return []


def test_the_judge_sees_what_is_wrong(model):
    tokens = model.tokenize("My mother's ghost sleeps")
    assert complaints(tokens) == []
    shifted = tokens.offsets.copy()
    shifted[4:-2] = shifted[5:-1]
    for wrong, complaint in (
        (shifted, "is in no token"),
        (tokens.offsets[::-1], "offsets go back"),
        (tokens.offsets * 0, "has no tokens"),
    ):
        broken = replace(tokens)
        vars(broken)["offsets"] = wrong
        assert complaint in " ".join(complaints(broken))


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("text", TEXTS)
def test_every_text_is_right_on_every_tokenizer(kind, text):
    assert complaints(encoded(kind, text)) == []


@pytest.mark.parametrize("kind", EVERY)
def test_both_texts_of_a_pair_are_right(kind):
    for one, other in zip(TEXTS, TEXTS[::-1], strict=True):
        assert complaints(encoded(kind, (one, other))) == []


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("text", TYPED)
def test_special_tokens_typed_in_the_text(kind, text):
    tokens = encoded(kind, text)
    assert complaints(tokens) == []
    assert tokens.find("c" if "c" in text.split() else "is" if " is " in text else "y").sequence == 0


def test_the_real_tokenizer(model):
    for text in (*TEXTS, *TYPED):
        assert complaints(model.tokenize(text)) == []


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("roberta", "é ☃", [[0, 1], [2, 3], [2, 3], [2, 3]]),
        ("byt5", "nai\u0308", [[0, 1], [1, 2], [2, 3], [3, 4], [3, 4]]),
        ("xlm-roberta", " the  cat", [[1, 4], [6, 8], [8, 9]]),
        ("bert-generation", "☃ the ☃", [[0, 0], [0, 1], [2, 5], [6, 6], [6, 7]]),
        (
            "bert-generation",
            "مُحَمَّد",
            [[0, 0], [0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 8]],
        ),
        ("prophetnet", "☃☃ the ☃x ☃", [[0, 2], [3, 6], [7, 9], [10, 11]]),
        ("prophetnet", "ᚠÉTÉ été", [[0, 4], [5, 8]]),
        ("albert", "½a", [[0, 1], [0, 1], [0, 1], [1, 2]]),
        ("deberta-v2", "\u1102\u1161 ☃", [[0, 0], [0, 2], [3, 3], [3, 4]]),
    ],
)
def test_where_tokens_stand(kind, text, expected):
    tokens = encoded(kind, text)
    assert tokens.offsets[~tokens.special_mask].tolist() == expected


# Random texts: any characters that Unicode has names for, and words of many scripts with signs and spaces.
anything = st.text(st.characters(codec="utf-8", exclude_categories=("Cn", "Cs", "Co")), max_size=12)
WORDS = (
    "the ghost Mother's don't naïve café nai\u0308ve Straße ﬁne 3½ x² … € 1,000.5 😀 ❤️ 👩‍👩‍👧 🇩🇪 ☃ → "
    "我喜欢 看书。 です カタカナ 나는 أحب مُحَمَّد मैं हूँ। ภาษาไทย Οδός Привет שָׁלוֹם Việt "
    "#tag a_b foo() (x) 'apple' „so“ ... ?!"
)
some_words = st.sampled_from(WORDS.split())
gaps = st.sampled_from([" ", " ", " ", "  ", "\n", "\u00a0", "", ", ", ". "])
ordinary = st.lists(st.tuples(some_words, gaps).map("".join), max_size=6).map("".join)
random = settings(max_examples=50, deadline=None, derandomize=True, database=None)


@pytest.mark.parametrize("kind", EVERY)
@random
@given(text=anything)
def test_any_text_is_right_or_refused(kind, text):
    assert judged(encoded(kind, text)) == []


@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind not in SLOW])
@random
@given(text=ordinary)
def test_ordinary_text_is_right_and_never_refused(kind, text):
    assert complaints(encoded(kind, text)) == []


# Broken offsets, put in the place of the reported ones.
BREAKS = {
    "zero": lambda offsets, size: offsets * 0,
    "whole": lambda offsets, size: offsets * 0 + np.array([0, size]),
    "zero width": lambda offsets, size: offsets[:, [0, 0]],
    "one too far": lambda offsets, size: offsets + 1,
    "one too far, cut": lambda offsets, size: np.clip(offsets + 1, 0, size),
    "one too early, cut": lambda offsets, size: np.clip(offsets - 1, 0, size),
    "too wide": lambda offsets, size: np.clip(offsets + np.array([0, 1]), 0, size),
    "too narrow": lambda offsets, size: np.maximum(offsets - np.array([0, 1]), offsets[:, [0]]),
    "of the token before": lambda offsets, size: np.roll(offsets, 1, axis=0),
    "of the token behind": lambda offsets, size: np.roll(offsets, -1, axis=0),
    "cut off": lambda offsets, size: offsets[:-1],
    "zero at the end": lambda offsets, size: np.where(
        np.arange(len(offsets))[:, None] < len(offsets) // 2, offsets, 0
    ),
    "reversed": lambda offsets, size: offsets[::-1],
    "negative": lambda offsets, size: offsets - 5,
}
MENDED = tuple(text for text in TEXTS if "``" not in text and "\u0301abc" not in text)


@pytest.mark.parametrize("kind", FAST)
@pytest.mark.parametrize("how", BREAKS)
def test_broken_offsets_are_mended(kind, how):
    for text in MENDED:
        tokens = encoded(kind, text)
        broken = replace(tokens, reported=BREAKS[how](tokens.reported, len(text)))
        assert broken.word_spans == tokens.word_spans, text
        assert np.array_equal(broken.word_index, tokens.word_index), text


@pytest.mark.parametrize("kind", ["wordpiece", "xlm-roberta", "t5", "smollm2"])
@random
@given(text=ordinary, how=st.sampled_from(sorted(BREAKS)))
def test_broken_offsets_of_any_text_are_mended_or_refused(kind, text, how):
    tokens = encoded(kind, text)
    broken = replace(tokens, reported=BREAKS[how](tokens.reported, len(text)))
    with suppress(AlignmentError):
        assert broken.word_spans == tokens.word_spans


@pytest.mark.parametrize("kind", FAST)
def test_offsets_are_worked_out_where_none_are_reported(kind):
    for text in MENDED:
        tokens = encoded(kind, text)
        assert replace(tokens, reported=None).word_spans == tokens.word_spans, text


@pytest.mark.parametrize(
    ("kind", "text", "others"),
    [
        (
            "wordpiece",
            "the cat sat on the mat",
            ("the dog sat on the mat", "the cat sat on", "the cat sat on the mats", ""),
        ),
        ("wordpiece", "cat", ("dog", "cats", "ca", "", " ")),
        ("xlm-roberta", "☃the", ("☃dog", "☃")),
    ],
)
def test_tokens_of_another_text_are_refused(kind, text, others):
    tokens = encoded(kind, text)
    for other in others:
        with pytest.raises(
            AlignmentError, match=r"fit it in no way or in more than one, so its words cannot"
        ):
            _ = replace(tokens, text=other, reported=None).offsets
        with pytest.raises(AlignmentError):
            _ = replace(tokens, text=other).offsets


def test_what_stays_open_is_refused_and_never_guessed():
    # Albert reads `` as one quotation mark: without its offsets, nobody can tell where the mark stands.
    tokens = encoded("albert", "so ``the cat'' said")
    assert complaints(tokens) == []
    with pytest.raises(AlignmentError, match=r"^The tokens of '``' fit it in no way or in more than one"):
        _ = replace(tokens, reported=None).offsets


def test_a_refusal_names_the_piece_and_leaves_the_tokens_usable():
    text = "the cat sat. " * 50 + "``the cat''"
    tokens = replace(encoded("albert", text), reported=None)
    with pytest.raises(AlignmentError) as caught:
        _ = tokens.word_spans
    assert len(str(caught.value)) < 300
    assert len(tokens.strings) == len(tokens) > 200


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["minilm", "xlm-roberta", "bytelevel", "prophetnet"])
def test_a_hundred_thousand_words_are_placed(kind, model):
    words = model.vocabulary if kind == "minilm" else vocabulary(kind)
    text = " ".join(f"the ghost 我们 café{number % 7} ☃" for number in range(20_000))
    (tokens,) = encode(words, [text])
    spans = tokens.word_spans
    assert [span.text for span in spans[-2:]] == ["café6" if 19_999 % 7 == 6 else f"café{19_999 % 7}", "☃"]
    assert (tokens.offsets[:, 1] <= len(text)).all()
    assert all(len(span) for span in spans)
    assert [span.start for span in spans] == sorted(span.start for span in spans)
