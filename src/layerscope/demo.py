"""The demo: the bundled model on the samples, as tables, figures and a small feature file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from layerscope import samples
from layerscope.analysis.look import look
from layerscope.analysis.similarity import similarity
from layerscope.errors import InputError
from layerscope.plots.heat import heats
from layerscope.reduce.cosine import cosine
from layerscope.reduce.feature import Feature
from layerscope.writing import write_whole

if TYPE_CHECKING:
    import pandas as pd

    from layerscope.model import Model

SENTENCE = "Then I tried to find some way of embracing my mother's ghost."
SENTENCES = ("President greets the press in Chicago", "Obama speaks to media in Illinois")
WORD = "bank"
FEATURES = ("mean@-1", "cls@-1", "mean@-4:/concat")


def demo(model: Model, out: Path, figure: bool = True) -> dict[Path, str]:
    """Write the demo's files into a folder, and say what each holds; `figure` says whether one is drawn.

    Raises:
        InputError: the folder is a file or cannot be written.
        MissingExtraError: matplotlib or seaborn is not installed.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {out} cannot be made: {error.strerror}.") from error
    seen = look(model, SENTENCE)
    senses = _senses(model)
    written: dict[Path, str] = {}

    def write(name: str, holds: str, save: Callable[[Path], Any]) -> None:
        write_whole(out / name, save)
        written[out / name] = holds

    write(
        "tokens.csv",
        "the tokens of a sentence, their offsets and words",
        lambda to: seen.tokens.table().to_csv(to),
    )
    write(
        "attention.csv",
        "what each word attends to most, in the first, middle and last layer",
        lambda to: _attention(seen.attention).to_csv(to, index=False),
    )
    write(
        "senses.csv", f"uses of {WORD!r} against each other in the last layer", lambda to: senses.to_csv(to)
    )
    write("features.parquet", f"the samples with {', '.join(FEATURES)} as columns", _features(model))
    if figure:
        words = similarity(model, *SENTENCES, unit="word").table()
        drawn = heats({f"Uses of “{WORD}”, last layer": senses, "Words of two sentences, last layer": words})
        write(
            "similarity.png",
            f"the uses of {WORD!r} as a figure, and the words of two sentences",
            lambda to: drawn.savefig(to, dpi=150),
        )
    return written


def _senses(model: Model) -> pd.DataFrame:
    """The uses of one word in the samples against each other: cosine of its vectors in the last layer."""
    import pandas as pd

    uses = [sample for sample in samples.samples() if sample.word == WORD]
    traces = model.run_many([sample.text for sample in uses], layers=-1)
    vectors = np.stack([trace.vector(WORD) for trace in traces])
    senses = [sample.sense for sample in uses]
    labels = pd.Index([f"{s} {senses[: n + 1].count(s)}" for n, s in enumerate(senses)], name="use")
    return pd.DataFrame(cosine(vectors, vectors), index=labels, columns=labels)


def _attention(by_layer: Mapping[int, pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([table.assign(layer=layer) for layer, table in by_layer.items()])


def _features(model: Model) -> Callable[[Path], None]:
    """A function that writes the samples and their features as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {str(name): list(column) for name, column in samples.table().items()}
    traces = model.run_many(samples.texts())
    for feature in map(Feature.parse, FEATURES):
        (name,) = feature.columns(model.num_layers)
        columns[name] = [trace.feature(feature) for trace in traces]
    return lambda to: pq.write_table(pa.table(columns), to)
