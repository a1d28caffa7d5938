"""layerscope compare A B."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerscope.cli.figures import Png, Svg, check_figures, write_figures
from layerscope.cli.options import Json, ModelOptions, note_empty, with_model
from layerscope.cli.output import show, show_json

if TYPE_CHECKING:
    import pandas as pd

NAME = "compare"
EXAMPLES = """Examples:\n
  layerscope compare "President greets the press in Chicago" "Obama speaks to media in Illinois"\n
  layerscope compare "a river bank" "a savings bank" --layer 3 --json\n
  layerscope compare "a river bank" "a savings bank" --png bank.png"""


@with_model
def command(
    model: ModelOptions,
    a: Annotated[str, typer.Argument(help="A text.")],
    b: Annotated[str, typer.Argument(help="The text to compare it with.")],
    layer: Annotated[int, typer.Option(help="Where to read the vectors; negative from the end.")] = -1,
    pooling: Annotated[
        str, typer.Option(help="How tokens become the vector of a text: mean, max, cls, last, …")
    ] = "mean",
    png: Png = None,
    svg: Svg = None,
    as_json: Json = False,
) -> None:
    """How alike two texts are, and their words: cosine similarity, higher is closer."""
    check_figures(png, svg)
    model.check(layers=layer, pooling=pooling)
    loaded = model.load()
    from layerscope.analysis.similarity import compare
    from layerscope.plots.heat import heats

    texts, words = compare(loaded, a, b, layer=layer, pooling=pooling)
    titles = (f"Texts (pooling {pooling}, layer {layer})", f"Words (layer {layer})")
    write_figures(lambda: heats(dict(zip(titles, (texts, words), strict=True))).axes[0], png, svg)
    note_empty(a, b)
    if as_json:
        sides = {"model": loaded.name, "layer": layer, "pooling": pooling, "a": a, "b": b}
        show_json(sides | {"texts": _cells(texts), "words": _cells(words)})
        return
    from layerscope.view import terminal

    for title, table in zip(titles, (texts, words), strict=True):
        show(terminal.heading(title))
        show(terminal.heat(table))


def _cells(table: pd.DataFrame) -> dict[str, Any]:
    return {"rows": list(table.index), "columns": list(table.columns), "values": table.to_numpy()}
