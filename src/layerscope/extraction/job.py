"""A job: everything that decides what the rows of an extraction are, and what makes them."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from layerscope.engine.precision import name_of, settled
from layerscope.engine.reader import Reader, block_tokens
from layerscope.engine.replicas import Replicas, batch_tokens
from layerscope.engine.supported import check_features
from layerscope.errors import StorageError
from layerscope.extraction.extractor import Extractor
from layerscope.extraction.pace import rows_a_part
from layerscope.extraction.settings import Settings
from layerscope.extraction.table import Columns
from layerscope.network.memory import Budget
from layerscope.network.windows import OVERLAP
from layerscope.store.manifest import Manifest

if TYPE_CHECKING:
    from layerscope.corpus.corpus import Corpus
    from layerscope.corpus.rows import Rows
    from layerscope.model import Model

_PACKAGES = ("layerscope", "torch", "transformers", "tokenizers", "pyarrow", "numpy")


@dataclass(frozen=True, eq=False)
class Job:
    """What was settled before the first part is made.

    Attributes:
        extractor: what makes the parts.
        manifest: what is there so far.
    """

    extractor: Extractor
    manifest: Manifest

    @property
    def part_rows(self) -> int:
        """How many rows a part has; the last may have fewer."""
        return int(self.manifest.settings["part_rows"])


def settle(
    model: Model, corpus: Corpus, first: Rows | None, settings: Settings, before: Manifest | None
) -> Job:
    """Settle a job, or take one up again.

    Args:
        model: as it was loaded.
        corpus: what will be read.
        first: its first rows, of which a precision is checked; None for an empty corpus.
        settings: what was asked.
        before: the manifest that is there already.

    Raises:
        InputError: settings that cannot be.
        ModelError: features that the model cannot give.
        StorageError: what is there was made with other settings; the message names them.
    """
    tokens = settings.batch_tokens or (before and before.about.get("batch_tokens")) or batch_tokens(model)
    if before is not None:
        # What was chosen stays chosen: other rows, or another machine, could say otherwise.
        rows = settings.part_rows or int(before.settings["part_rows"])
        settings = replace(settings, dtype=_as_before(settings, before), part_rows=rows)
    extractor, check = prepared(model, corpus, first, settings, int(tokens))
    decided = _decided(model, extractor, settings, settings.part_rows or rows_a_part(extractor, first))
    if before is not None:
        _same(before, decided)
        return Job(extractor, before)
    about = {
        "model": {"name": model.name, "revision": model.source.revision, "weights": model.source.checksums()},
        "corpus": {"name": corpus.name},
        "precision_check": check,
        "batch_tokens": extractor.budget.tokens,
        "versions": {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()},
    }
    return Job(extractor, Manifest(decided, about))


def prepared(
    model: Model, corpus: Corpus, first: Rows | None, settings: Settings, tokens: int
) -> tuple[Extractor, dict[str, Any] | None]:
    """What makes the parts, in batches of so many tokens, and what the check of its precision found. See `settle`."""
    check_features(model, settings.features)
    columns = Columns.of(model, settings.features, corpus.schema, corpus.has_pairs, settings.column_dtype)
    budget = Budget(tokens)
    reader = Reader(model, settings.long, settings.on_error, block_tokens(model, settings.features))
    cast, check = settled(model, settings.dtype, first, reader, settings.features, budget)
    return Extractor(reader, Replicas(cast), columns, budget), check


def _decided(model: Model, extractor: Extractor, settings: Settings, rows: int) -> dict[str, Any]:
    """All that decides what the rows are."""
    columns = extractor.columns
    return {
        "model": model.identity(),
        "features": [str(feature) for feature in settings.features],
        "columns": {
            name: {"feature": str(feature), "width": columns.widths[name]}
            for feature in settings.features
            for name in feature.columns(model.num_layers)
        },
        "dtype": name_of(extractor.model),
        "column_dtype": settings.column_dtype,
        "long_texts": {
            "long": settings.long,
            "context_window": model.context_window,
            "overlap": f"1/{OVERLAP}",
        },
        "corpus": dict(settings.columns),
        "schema": {field.name: str(field.type) for field in columns.schema},
        "on_error": settings.on_error,
        "part_rows": rows,
    }


def _as_before(settings: Settings, before: Manifest) -> str | None:
    """The precision that "auto" was decided to be."""
    return str(before.settings["dtype"]) if settings.dtype == "auto" else settings.dtype


def _same(before: Manifest, decided: dict[str, Any]) -> None:
    found = before.differences(decided)
    # Which columns there are follows from the rest, if the rest differs.
    differences = [one for one in found if not one.startswith(("columns.", "schema."))] or found
    if differences:
        more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
        raise StorageError(
            f"The folder was begun with other settings: {differences[0]}{more}. Give the same, or a new folder."
        )
