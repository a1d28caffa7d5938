"""layerscope anatomy TEXT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from layerscope.cli.files import Files
from layerscope.cli.options import Json, ModelOptions, Pair, TextArgument, note_empty, read_text, with_options
from layerscope.cli.output import note, show, show_json

if TYPE_CHECKING:
    import pandas as pd

    from layerscope.analysis.anatomy import Anatomy

NAME = "anatomy"
EXAMPLES = """Examples:\n
  layerscope anatomy "Then I tried to find some way of embracing my mother's ghost." --layer 3\n
  layerscope anatomy "The crane stood by the river bank." --layer 1 --head 4 --png head.png\n
  layerscope anatomy "The capital of France is" --model SmolLM2.gguf --layer 8 --json"""


@with_options
def command(
    model: ModelOptions,
    files: Files,
    text: TextArgument = None,
    pair: Pair = None,
    layer: Annotated[int, typer.Option(help="Which block, from 1; negative from the end.")] = -1,
    head: Annotated[
        int | None,
        typer.Option(
            help="Also show the attention of this head, from 0; a figure or a CSV file is then of that."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Every step inside one block, computed anew, and the proof that they add up to what the model computes."""
    given = read_text(text)
    files.check()
    model.check(layers=layer)
    loaded = model.load()
    from layerscope.analysis.anatomy import anatomy

    found = anatomy(loaded, given, layer, pair)
    of_head = {} if head is None else {"head": head, "probabilities": found.head(head).to_numpy()}
    files.figure(lambda: found.plot() if head is None else found.plot_head(head=head))
    files.table(lambda: found.table() if head is None else found.head(head))
    note_empty(given, pair)
    if as_json:
        show_json(found.to_dict() | of_head)
        return
    from layerscope.view import terminal

    show(terminal.heading(f"Layer {found.layer} of {found.model}: {found.block}, {found.kind}"))
    show(terminal.frame(_cells(found), digits=2))
    if head is not None:
        show(terminal.heading(f"Head {head}{_shared(found, head)}: from each token (row) to each token"))
        show(terminal.heat(_visible(found.head(head))))
    note(
        f"It adds up: the largest difference from the model's own is {found.largest:.0e} of a step's largest value. "
        "– is a step that the model does not show; the next one proves it."
    )


def _cells(found: Anatomy) -> pd.DataFrame:
    """The table of the steps for people: each difference relative to the step's largest value."""
    table = found.table()
    table["difference"] = [_short(one.relative) for one in found.steps]
    return table[["shape", "formula", "length", "difference", "explanation"]]


def _visible(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the white space of its tokens made visible."""
    from layerscope.shown import visible

    return table.rename(index=visible, columns=visible)


def _short(relative: float | None) -> str:
    return "–" if relative is None else f"{relative:.0e}" if relative else "0"


def _shared(found: Anatomy, head: int) -> str:
    """Whose keys and values a head uses, where heads share them."""
    is_shared = len(set(found.key_heads)) < len(found.key_heads)
    return f", with keys and values {found.key_heads[head]}" if is_shared else ""
