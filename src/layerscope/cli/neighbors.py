"""layerscope neighbors TOKEN…."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from layerscope.cli.files import Files
from layerscope.cli.options import Json, ModelOptions, with_options
from layerscope.cli.output import show, show_json
from layerscope.errors import InputError
from layerscope.shown import counted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from layerscope.analysis.neighbors import Neighbors

NAME = "neighbors"
EXAMPLES = """Examples:\n
  layerscope neighbors ghost spirit\n
  layerscope neighbors " to" --metric dot --matrix output --model SmolLM2.gguf\n
  layerscope neighbors --ids 5745 -k 20 --png ghost.png"""


@with_options
def command(
    model: ModelOptions,
    files: Files,
    token: Annotated[
        list[str] | None,
        typer.Argument(
            help='Tokens or words: " to" is a token with its space, others are read as the nearest that there is.',
            show_default=False,
        ),
    ] = None,
    ids: Annotated[bool, typer.Option("--ids", help="TOKENs are ids, not strings.")] = False,
    k: Annotated[int, typer.Option("-k", help="How many.", min=1)] = 10,
    matrix: Annotated[
        str, typer.Option(help="input (where tokens are looked up) or output (the head's).")
    ] = "input",
    metric: Annotated[str, typer.Option(help="cosine, or dot.")] = "cosine",
    as_json: Json = False,
) -> None:
    """The nearest rows of the embedding matrix to tokens or words."""
    if not token:
        raise InputError("Give a token or a word: layerscope neighbors ghost")
    queries = [_id(one) for one in token] if ids else token
    files.check()
    loaded = model.load()
    from layerscope.analysis.neighbors import neighbors

    found = [neighbors(loaded, query, k, matrix, metric) for query in queries]
    files.figure(lambda: _drawn(found))
    files.table(lambda: _together(found))
    if as_json:
        show_json([one.to_dict() for one in found])
        return
    from layerscope.shown import visible
    from layerscope.view import terminal

    for one in found:
        show(terminal.heading(f"Nearest to {one.query}, by {metric}"))
        table = one.table()
        show(terminal.frame(table.assign(token=table["token"].map(visible))))
    show(terminal.heading(_about(found[0])))


def _together(found: list[Neighbors]) -> pd.DataFrame:
    """The tables one below the other, of several queries with a column that says which."""
    import pandas as pd

    if len(found) == 1:
        return found[0].table()
    return pd.concat([one.table().reset_index().assign(query=one.query) for one in found]).set_index("query")


def _id(written: str) -> int:
    try:
        return int(written)
    except ValueError as error:
        raise InputError(f"With --ids a TOKEN is a whole number, such as 5745; not {written!r}.") from error


def _about(one: Neighbors) -> str:
    """One line on the matrix and on the rows that were left out."""
    tied = {
        True: "the output matrix is the same",
        False: "the output matrix is another",
        None: "no output matrix",
    }
    said = [f"{one.matrix.capitalize()} embeddings of {one.model}"]
    said.append(tied[one.tied].replace("output", "input" if one.matrix == "output" else "output"))
    if one.computed_by:
        said.append(f"rows as {one.computed_by} computes them")
    if one.rows_unused:
        said.append(f"{counted(one.rows_unused, 'row')} of no token left out")
    if one.rows_of_zeros:
        said.append(f"{counted(one.rows_of_zeros, 'row')} of zeros left out")
    return "; ".join(said)


def _drawn(found: list[Neighbors]) -> Axes:
    """A panel for each query, side by side."""
    from layerscope.plots.canvas import figure

    if len(found) == 1:
        return found[0].plot()
    width, height = 4.6 * len(found), 1.2 + 0.28 * max(len(one.ids) for one in found)
    panels: list[Axes] = list(figure(width, height).subplots(1, len(found)))
    for one, ax in zip(found, panels, strict=True):
        one.plot(ax=ax)
    return panels[0]
