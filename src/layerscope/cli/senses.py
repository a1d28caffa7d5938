"""layerscope senses WORD SOURCE…."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerscope.cli.asked import Asked, names_in
from layerscope.cli.corpora import CorpusOptions, Sources
from layerscope.cli.files import Files
from layerscope.cli.options import Json, ModelOptions, with_options
from layerscope.cli.output import note, show, show_json
from layerscope.errors import InputError
from layerscope.shown import counted

if TYPE_CHECKING:
    from layerscope.analysis.senses import Senses
    from layerscope.store.features import Features

NAME = "senses"
EXAMPLES = """Examples:\n
  layerscope senses bank sentences.csv --text text --label sense\n
  layerscope senses ghost novel.txt --segment paragraph --layer 8 --png ghost.png\n
  layerscope senses bank features --label sense --json"""

# Uses that are listed, and that have room in a table beside each other.
_LISTED, _BESIDE = 30, 14


@with_options
def command(
    model: ModelOptions,
    corpus: CorpusOptions,
    asked: Asked,
    files: Files,
    word: Annotated[str | None, typer.Argument(help="The word, or phrase.", show_default=False)] = None,
    source: Sources = None,
    label: Annotated[str | None, typer.Option(help="A column with the sense of each text's uses.")] = None,
    layer: Annotated[
        int | None,
        typer.Option(
            help="Also every use against every other at this layer; a figure or a CSV file is then of it."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """The uses of one word in a corpus, or in a folder of features, compared layer by layer."""
    if word is None or not source:
        raise InputError("Give a word and where to look for it: layerscope senses bank sentences.csv")
    files.check()
    features = _features(source)
    if features is None:
        found = _found(model, corpus, word, source, label, layer)
    else:
        found = _stored(asked, features, word, label)
    similarity = None if layer is None else found.similarity(layer)
    files.figure(found.plot if layer is None else lambda: found.heat(layer=layer))
    files.table(found.table if layer is None else lambda: found.similarity(layer))
    if as_json:
        drawn = {} if similarity is None else {"layer": layer, "similarity": similarity.to_numpy()}
        show_json(found.to_dict() | drawn)
        return
    from layerscope.view import terminal

    show(terminal.heading(f"{counted(len(found.uses), 'use')} of “{word}”, {found.model}"))
    show(terminal.frame(found.contexts().head(_LISTED)))
    show(terminal.heading(_meaning(found)))
    show(terminal.frame(found.table()))
    if similarity is not None and len(similarity) <= _BESIDE:
        show(terminal.heading(f"Cosine of every two uses at layer {layer}"))
        show(terminal.heat(similarity))
    elif similarity is not None:
        note(f"{len(similarity):,} uses are too many for a table side by side; --json and --png have them.")
    for line in _notes(found):
        note(line)


def _found(
    model: ModelOptions,
    corpus: CorpusOptions,
    word: str,
    source: list[str],
    label: str | None,
    layer: int | None,
) -> Senses:
    """The uses in a corpus, if the model has the layer that is to be shown."""
    model.check(layers=layer)
    texts = corpus.open(source, keep=[] if label is None else [label])
    from layerscope.analysis.senses import senses
    from layerscope.reduce.layers import resolve_layer

    loaded = model.load()
    if layer is not None:
        resolve_layer(layer, loaded.num_layers)
    return senses(loaded, word, texts, label)


def _stored(asked: Asked, features: Features, word: str, label: str | None) -> Senses:
    """The uses in a folder of features."""
    from layerscope.analysis.senses import senses

    name = features.folder.name
    if "model" in asked.given:
        raise InputError(f"{name} is a folder of features, which needs no model: leave --model out.")
    asked.refuse(
        *names_in(ModelOptions, CorpusOptions),
        why="on a folder of features, which has its own model and texts",
    )
    return senses(features, word, labels=label)


def _features(source: list[str]) -> Features | None:
    """The features that a source is a folder of, None if it is none."""
    from layerscope.store import manifest
    from layerscope.store.features import open_features

    if len(source) == 1 and Path(source[0], manifest.NAME).is_file():
        return open_features(source[0])
    return None


def _meaning(found: Senses) -> str:
    """What stands in the table."""
    if not found.is_labelled:
        return "Cosine of any two uses, by layer"
    return f"By layer; layer {found.best} tells the senses apart best (highest silhouette)"


def _notes(found: Senses) -> Iterator[str]:
    """What a reader of the numbers has to know."""
    if len(found.uses) > _LISTED:
        yield f"The first {_LISTED} uses are listed; --json has all."
    if found.texts_without:
        yield f"Texts without the word: {found.texts_without:,}."
    if found.uses_lost:
        yield f"Uses that have no vector of their own, left out: {found.uses_lost:,}."
    counts = Counter(use.label for use in found.uses)
    single = [str(label) for label, count in counts.items() if count == 1]
    if not found.is_labelled and found.uses[0].label is not None:
        yield "Each use has a label of its own, so there are no senses to tell apart."
    if found.is_labelled and single:
        yield f"Only one use, so silhouette 0 and never accurate: {', '.join(single)}."
    if found.is_labelled and found.best == 0:
        yield "Layer 0 knows a word and its place, no context: where it is best, that is chance of these texts."
