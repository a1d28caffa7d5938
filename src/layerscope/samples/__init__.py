"""Sample texts, written for Layerscope: a dozen words in several senses, each in a few short sentences.

>>> from layerscope import samples
>>> samples.words()[:4]
['bank', 'python', 'crane', 'spring']
>>> samples.texts("crane")[0]
'A crane stood on one leg in the shallow water.'
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from layerscope.errors import unknown

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Sample:
    """A sentence, a word that stands in it once, and the sense in which it does."""

    word: str
    sense: str
    text: str


@cache
def samples() -> tuple[Sample, ...]:
    """Every sample, sense by sense."""
    written = files(__package__).joinpath("samples.csv").read_text(encoding="utf-8")
    return tuple(Sample(**row) for row in csv.DictReader(written.splitlines()))


def words() -> list[str]:
    """The words that have several senses."""
    return list(dict.fromkeys(sample.word for sample in samples()))


def texts(word: str | None = None) -> list[str]:
    """All the sentences, or those of one word.

    Raises:
        InputError: a word that the samples do not have; the message lists those they have.
    """
    if word is not None and word not in words():
        raise unknown("sample word", word, words())
    return [sample.text for sample in samples() if word in (None, sample.word)]


def table() -> pd.DataFrame:
    """One row a sentence: word, sense, text."""
    import pandas as pd

    return pd.DataFrame([vars(sample) for sample in samples()])
