"""What an extraction was asked to do, as a user wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from layerscope.engine.precision import DTYPES
from layerscope.errors import InputError, unknown
from layerscope.extraction.table import TYPES
from layerscope.network.windows import LONG
from layerscope.reduce.feature import Feature

ON_ERROR = ("row", "raise")


@dataclass(frozen=True)
class Settings:
    """What an extraction was asked to do, apart from the model, the corpus and the folder.

    Attributes:
        features: what to compute.
        dtype: the precision of the network, "auto", or None for as it is loaded.
        column_dtype: the precision of the columns, "float32" or "float16".
        long: what to do with texts that do not fit the context window.
        on_error: what to do with rows that fail.
        part_rows: rows a part, None to choose.
        batch_tokens: tokens a batch, None to choose.
        columns: how the corpus was opened: text, pair, id, keep, segment, limit, sample, seed.
    """

    features: tuple[Feature, ...]
    dtype: str | None
    column_dtype: str
    long: str
    on_error: str
    part_rows: int | None
    batch_tokens: int | None
    columns: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        features: str | Feature | Sequence[str | Feature],
        columns: Mapping[str, Any],
        *,
        dtype: str | None = None,
        column_dtype: str = "float32",
        long: str = "window",
        on_error: str = "row",
        part_rows: int | None = None,
        batch_tokens: int | None = None,
    ) -> Settings:
        """Settings from what a user wrote.

        Raises:
            InputError: what cannot be.
        """
        listed = [features] if isinstance(features, str | Feature) else list(features)
        parsed = tuple(one if isinstance(one, Feature) else Feature.parse(one) for one in listed)
        settings = cls(parsed, dtype, column_dtype, long, on_error, part_rows, batch_tokens, columns)
        settings._check()
        return settings

    def _check(self) -> None:
        for what, given, known in (
            ("dtype", self.dtype or "auto", ("auto", *DTYPES)),
            ("column_dtype", self.column_dtype, TYPES),
            ("way with long texts", self.long, LONG),
            ("way with errors", self.on_error, ON_ERROR),
        ):
            if given not in known:
                raise unknown(what, given, known)
        for name, number in (("part_rows", self.part_rows), ("batch_tokens", self.batch_tokens)):
            if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
                raise InputError(f"{name} is a whole number, at least 1; not {number!r}.")
