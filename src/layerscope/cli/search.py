"""layerscope search FOLDER QUERY."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerscope.cli.asked import Asked, names_in
from layerscope.cli.files import Files
from layerscope.cli.options import Json, ModelOptions, with_options
from layerscope.cli.output import note, show, show_json
from layerscope.errors import InputError
from layerscope.shown import counted

if TYPE_CHECKING:
    from layerscope.store.features import Features

NAME = "search"
EXAMPLES = """Examples:\n
  layerscope search features "the bank lends money"\n
  layerscope search features "the bank lends money" --word bank --column words_6\n
  layerscope search features --like 17 -k 5 --csv near.csv\n
The query passes through the model that made the features; another one is refused."""


@with_options
def command(
    model: ModelOptions,
    asked: Asked,
    files: Files,
    folder: Annotated[
        str | None,
        typer.Argument(help="The folder that extract wrote to, or its address.", show_default=False),
    ] = None,
    query: Annotated[str | None, typer.Argument(help="A text.", show_default=False)] = None,
    word: Annotated[
        str | None, typer.Option(help="This word of the text, in a column of words or tokens.")
    ] = None,
    pair: Annotated[str | None, typer.Option(help="A second text, where the features are of pairs.")] = None,
    like: Annotated[int | None, typer.Option(help="What is near to this row of the folder, from 0.")] = None,
    column: Annotated[
        str | None,
        typer.Option(help="Where to search; may be left out where there is one column of features."),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many to find.", min=1)] = 10,
    as_json: Json = False,
) -> None:
    """The rows of a folder of features, or the words in their context, that are nearest to a query (exact cosine)."""
    if folder is None or (query is None) == (like is None):
        raise InputError(
            "Give a folder, and a text or --like ROW: layerscope search features 'a bank of the river'"
        )
    if word is not None and pair is not None:
        raise InputError("--word is of a single text: leave --pair out.")
    files.check()
    from layerscope.store.features import open_features

    features = open_features(folder)
    if like is not None:
        asked.refuse(
            *names_in(ModelOptions), "word", "pair", why="with --like, whose vector is in the folder"
        )
        found = features.search(features.vector(like, column), k, column)
    else:
        model.check()
        beside = word if word is not None else pair
        given: Any = query if beside is None else (query, beside)
        found = features.search(given, k, column, _loaded(model, features))
    files.figure(found.plot)
    files.table(found.table)
    if as_json:
        show_json(found.to_dict())
        return
    from layerscope.view import terminal

    about = f"row {like}" if like is not None else f"“{query}”" if word is None else f"“{word}” in “{query}”"
    show(terminal.heading(f"Nearest to {about} in {found.column}, by cosine"))
    show(terminal.frame(found.table().set_index("row")))
    if found.left_out:
        what = {"text": "row"}.get(features.stored.columns[found.column].kind, "vector")
        note(f"note: {counted(found.left_out, what)} could not be found, for want of a vector.")


def _loaded(model: ModelOptions, features: Features) -> Any:
    """The model that is named, or the one that the folder names."""
    from layerscope.loading.bundled import NAME as BUNDLED

    named = str(features.manifest.about["model"]["name"])
    return model.load(None if model.model is not None or named == BUNDLED else named)
