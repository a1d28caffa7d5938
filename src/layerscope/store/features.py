"""`Features`: a folder of features that is read, as arrays, tables, batches, or by search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from layerscope.arguments import check as check_argument
from layerscope.arguments import checked
from layerscope.errors import InputError, StorageError, missing, unknown
from layerscope.reduce.pooling import Array
from layerscope.store import manifest as manifests
from layerscope.store.check import Check, check
from layerscope.store.folder import Folder
from layerscope.store.hits import Hits
from layerscope.store.manifest import Manifest
from layerscope.store.search import Embeds, Query, chosen_column, search
from layerscope.store.stored import Column, Stored

if TYPE_CHECKING:
    import datasets
    import pandas as pd
    import pyarrow as pa
    import pyarrow.dataset

# Columns that are shown by name.
_SHOWN = 4


@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """The rows of a folder of features, in the order of the corpus; `open_features` makes it.

    Only the manifest is read before a method needs more, and no more than one row group of Parquet is in
    memory beside what is returned. Of an extraction that is not finished these are the parts that are
    whole. Rows are numbered as they stand here: from 0, without those of parts that are missing.

    Attributes:
        folder: where they are.
        manifest: what stands in `_manifest.json`, as it was when they were opened.
    """

    folder: Folder
    manifest: Manifest

    def __len__(self) -> int:
        return self.manifest.rows

    def __repr__(self) -> str:
        shown = [
            f"{name} [{column.width}]"
            if column.kind == "text"
            else f"{name} [{column.kind[:-1]}, {column.width}]"
            for name, column in list(self.columns.items())[:_SHOWN]
        ]
        more = len(self.columns) - len(shown)
        errors = f" ({self.num_errors:,} with an error)" if self.num_errors else ""
        state = ", complete" if self.manifest.complete else " so far"
        gaps = ", ".join(f"{first} to {last}" for first, last in self.stored.gaps())
        return (
            f"Features({self.folder.name!r}: {self.manifest.about['model']['name']}, "
            f"{', '.join(shown)}{f' and {more} more' if more else ''}, "
            f"{len(self):,} rows{errors}{state}{f', without rows {gaps}' if gaps else ''})"
        )

    @property
    def columns(self) -> dict[str, Column]:
        """The columns that hold features, by name; `schema` has all columns."""
        return self.stored.columns

    @cached_property
    def stored(self) -> Stored:
        """The parts, to be read one by one."""
        return Stored(self.folder, self.manifest)

    @property
    def num_errors(self) -> int:
        """How many rows have something in the column "error"."""
        return self.manifest.errors

    @property
    def schema(self) -> pa.Schema:
        """All columns with their Arrow types."""
        return self.stored.schema

    @checked
    def to_numpy(self, column: str) -> Array:
        """One column as an array: of a feature [row, width] in float32 or float16, as it is stored.

        A row that has no vector, because of its error, is NaN. A plain column is [row]: numbers (whole ones
        with a null among them as float64, where it is NaN), or else objects.

        Raises:
            InputError: no such column, or one that holds a list for each row.
            StorageError: a part cannot be read.
        """
        import pyarrow as pa

        self._chosen([column])
        feature = self.columns.get(column)
        is_plain = feature is None and not pa.types.is_nested(self.schema.field(column).type)
        if is_plain:
            chunks = [batch.column(0) for batch in self.batches(columns=[column])]
            return np.asarray(pa.chunked_array(chunks, self.schema.field(column).type).to_numpy())
        if feature is None or feature.kind != "text":
            raise InputError(
                f"{column!r} holds a list for each row, which is no array. Take batches(columns=[{column!r}]) or "
                f"to_pandas([{column!r}])" + (f", or search(…, column={column!r})." if feature else ".")
            )
        whole = np.empty((len(self), feature.width), self.manifest.settings["column_dtype"])
        end = 0
        for batch in self.batches(columns=[column]):
            start, end = end, end + len(batch)
            cells = batch.column(0)
            own = whole[start:end]
            if cells.null_count:
                own[:] = np.nan
                own[cells.is_valid().to_numpy(zero_copy_only=False)] = _vectors(cells, feature.width)
            else:
                own[:] = _vectors(cells, feature.width)
        return whole

    @checked
    def to_pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All rows as a table in memory, or some columns of them; a vector is an array in its cell."""
        import pyarrow as pa

        schema = pa.schema([self.schema.field(name) for name in self._chosen(columns)])
        table = pa.Table.from_batches(self.batches(columns=columns), schema)
        frame: pd.DataFrame = table.to_pandas(types_mapper=_exactly)
        return frame

    def to_arrow(self) -> pyarrow.dataset.Dataset:
        """The parts as an Arrow dataset, which reads only what it is asked for: columns, filters, batches."""
        import pyarrow.dataset as ds

        paths = self.stored.paths()
        if not paths:
            return ds.dataset(self.schema.empty_table())
        return ds.dataset(paths, self.schema, format="parquet", filesystem=self.folder.files)

    def to_dataset(self, cache_dir: str | PurePath | None = None) -> datasets.Dataset:
        """The rows as a dataset of the package datasets, for its `map`, `with_format("torch")` and the like.

        It copies the parts once into its own memory-mapped files, and uses them again as long as the parts
        are the same.

        Args:
            cache_dir: where to; where datasets keeps its files if left out. Not in the folder of features.

        Raises:
            MissingExtraError: datasets is not installed.
        """
        try:
            import datasets
        except ImportError as error:
            raise missing("datasets") from error
        cache = Path(cache_dir or datasets.config.HF_DATASETS_CACHE).expanduser().resolve()
        if self.folder.is_local and cache.is_relative_to(Path(self.folder.root).resolve()):
            raise InputError(f"{cache} is in the folder of features, which holds only them: choose another.")
        paths = self.stored.paths()
        if not paths:
            return datasets.Dataset(self.schema.empty_table())
        addresses = (
            paths if self.folder.is_local else [self.folder.files.unstrip_protocol(one) for one in paths]
        )
        made = datasets.Dataset.from_parquet(addresses, cache_dir=str(cache))
        assert isinstance(made, datasets.Dataset)
        return made

    @checked
    def batches(self, size: int = 1024, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows in order, at most `size` at once; no batch reaches over the end of a row group.

        Raises:
            InputError: no such column, or a size below 1.
            StorageError: a part cannot be read; said when it is reached.
        """
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise InputError(f"size is how many rows a batch has at most, 1 or more; not {size!r}.")
        names = self._chosen(columns)
        return self.stored.rows(size, names)

    @checked
    def vector(self, row: int, column: str | None = None) -> Array:
        """[width]: the vector of one row, of a column with one for each; only its part is read.

        Args:
            row: its number, from 0; negative from the end.
            column: may be left out where there is only one column of features.

        Raises:
            InputError: no such row or column, a column of words or tokens, or a row that has no vector.
            StorageError: the part cannot be read.
        """
        name = chosen_column(self.stored, column)
        if self.columns[name].kind != "text":
            raise InputError(
                f"{name!r} holds a list of vectors for each row; name a column with one for each."
            )
        if not -len(self) <= row < len(self):
            raise InputError(f"There is no row {row}: rows are 0 to {len(self) - 1}.")
        number = row % len(self)
        for start, batch in self.stored.around({number}, 1024, [name, "error"]):
            if start <= number < start + len(batch):
                cells = batch.slice(number - start, 1)
                if cells.column(0).null_count:
                    raise InputError(f"Row {number} has no vector: {cells.column(1)[0].as_py()}")
                return np.asarray(_vectors(cells.column(0), self.columns[name].width)[0])
        raise InputError(f"Row {number} is in no part: the folder is damaged, or not finished.")

    @checked
    def search(
        self, query: Query, k: int = 10, column: str | None = None, model: Embeds | None = None
    ) -> Hits:
        """The rows, or the words in their context, whose vectors are nearest to a query: exactly, by cosine.

        Args:
            query: a vector [width], or several [query, width]; or with `model` a text, or a pair of texts as
                a tuple. For a column of words or tokens not a text, but `(text, word)`: that word in it.
            k: how many to find for each query; all that have a vector, if there are fewer.
            column: where to search; may be left out where there is only one column of features.
            model: the `Model` that made the features; it makes the query's vector as it made theirs. All its
                weights are compared, so for many queries give vectors.

        Returns:
            what was found, the nearest first, equally near ones in the order of the rows; see `Hits`.

        Raises:
            InputError: a query that does not fit the column, or another model than the features'.
            StorageError: a part cannot be read.

        >>> import layerscope as ls, tempfile
        >>> model = ls.load()
        >>> texts = ["He sat on the bank of the river.", "She asked the bank for a loan."]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     features = ls.extract(model, texts, folder, ["mean@-1", "words@-1"])
        ...     features.search(("the bank lends money", "bank"), 1, "words_6", model).hits[0]["context"]
        'She asked the [bank] for a loan.'
        """
        if model is not None:
            check_argument("model", model, "Model")
        return search(self.stored, query, k, column, model)

    def check(self) -> Check:
        """Read every part and compare it with its checksum; nothing is changed.

        Raises:
            StorageError: the folder is gone, or cannot be read.
        """
        return check(self.folder.name)

    def _chosen(self, columns: Sequence[str] | None) -> list[str]:
        known = list(self.manifest.settings["schema"])
        chosen = known if columns is None else [columns] if isinstance(columns, str) else list(columns)
        for name in chosen:
            if name not in known:
                raise unknown("column", name, known)
        return chosen


@checked
def open_features(out: str | PurePath) -> Features:
    """Features from their folder, finished or not; only its manifest is read, and nothing is locked or written.

    Args:
        out: the folder that `extract` wrote to: a path, or an address that fsspec knows.

    Raises:
        InputError: no path, or an address of an unknown kind.
        StorageError: there are no features, or those of a later version.
    """
    folder = Folder.at(out)
    try:
        is_there = folder.files.exists(folder.path(manifests.NAME))
    except OSError as error:
        raise StorageError(f"{folder.name} cannot be read: {error}.") from error
    manifest = folder.read_manifest() if is_there else None
    if manifest is None:
        raise StorageError(
            f"There are no features in {folder.name}: it has no {manifests.NAME}. "
            "Give the folder that extract wrote to."
        )
    return Features(folder, manifest)


def _vectors(cells: pa.Array, width: int) -> Array:
    """[row, width] of the rows that have a vector."""
    return np.asarray(cells.flatten().to_numpy(zero_copy_only=False)).reshape(-1, width)


def _exactly(kind: pa.DataType) -> Any:
    """The pandas type that holds an Arrow type's values exactly, where pandas' own does not: times of nanoseconds."""
    import pandas as pd
    import pyarrow as pa

    return pd.ArrowDtype(kind) if pa.types.is_time64(kind) and kind.unit == "ns" else None
