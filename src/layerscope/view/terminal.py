"""Results as rich tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from layerscope.shown import shorten, visible
from layerscope.view.wide import Column, Wide

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from layerscope.analysis.look import Look, Prediction
    from layerscope.analysis.verify import Verification
    from layerscope.network.description import Description
    from layerscope.text.tokens import Tokens

# From pale to strong; dark text on all but the strongest, readable on light and dark terminals.
_SHADES = ("#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c")
_BAR = 30

# Characters of a cell.
_MOST = 40

# Characters of a name across a map.
_ACROSS = 12


def tokens(tokens: Tokens) -> RenderableType:
    """The tokens of a text, one row each."""
    table = _table("token", "id", "string", "characters", "word")
    if tokens.pair is not None:
        table.add_column("text")
    words = [tokens.words[index].text if index >= 0 else "" for index in tokens.word_index]
    for number, string in enumerate(tokens.strings):
        is_special = bool(tokens.special_mask[number])
        start, end = tokens.offsets[number]
        place = "" if is_special else f"{start}–{end}"
        cells = [str(number), str(tokens.ids[number]), visible(string), place, words[number]]
        if tokens.pair is not None:
            cells.append("" if is_special else str(tokens.sequence[number] + 1))
        table.add_row(*map(escape, cells), style="dim" if is_special else None)
    return table


def look(look: Look) -> RenderableType:
    """A first look at a text: tokens, attention, lengths, predictions."""
    parts: list[RenderableType] = [heading("Tokens"), tokens(look.tokens)]
    if any(len(table) for table in look.attention.values()):
        parts += [
            heading(
                "What each word attends to most (strongest head; special tokens, and a decoder's first, left out)"
            ),
            _attention(look),
        ]
    parts += [heading("Length of the vectors, median over the tokens"), _lengths(look)]
    if look.predictions:
        parts += [heading("What the model expects"), *map(_prediction, look.predictions)]
    if look.note:
        parts.append(Text(look.note, style="italic"))
    return Group(*parts)


def facts(values: Mapping[str, object]) -> RenderableType:
    """Names and what they are, one row each."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in values.items():
        shown = f"{value:,}" if isinstance(value, int) else str(value)
        table.add_row(Text(name, style="bold"), escape(shown))
    return table


def heat(table: pd.DataFrame, low: float = 0.0, high: float = 1.0) -> RenderableType:
    """A table of numbers, shaded from `low` to `high`."""
    names = Column("", [Text(shorten(str(name), _MOST)) for name in table.index])
    columns = [
        Column(shorten(str(name), _ACROSS), [_shaded(float(value), low, high) for value in values], "right")
        for name, values in zip(table.columns, table.to_numpy().T, strict=True)
    ]
    return Wide([names], columns)


def frame(table: pd.DataFrame, digits: int = 3) -> RenderableType:
    """A table with its index, row by row; numbers on the right, those that are not whole with so many digits."""

    def column(name: object, values: pd.Series | pd.Index) -> Column:
        side: Literal["left", "right"] = "right" if values.dtype.kind in "iuf" else "left"
        return Column(str(name or ""), [Text(_cell(value, digits)) for value in values], side)

    index = table.index
    first = [column(name, index.get_level_values(level)) for level, name in enumerate(index.names)]
    return Wide(first, [column(name, table.iloc[:, place]) for place, name in enumerate(table.columns)])


def description(description: Description) -> RenderableType:
    """What a model is."""
    facts = _table("", "")
    facts.show_header = False
    window = description.context_window
    heads = "" if description.num_heads is None else f", {description.num_heads} heads"
    for name, value in {
        "model": description.name,
        "revision": description.revision,
        "architecture": f"{description.architecture} ({description.family}, {description.kind})",
        "layers": f"{description.num_layers}{heads}, hidden size {description.hidden_size}",
        "blocks": " to ".join(dict.fromkeys((description.blocks[0], description.blocks[-1])))
        if description.blocks
        else None,
        "vocabulary": f"{description.vocab_size:,}",
        "context window": f"{window:,} tokens" if window else "no limit",
        "head": f"{description.head}: {'; '.join(description.heads)}" if description.heads else "none",
        "held as": f"{description.dtype} on {description.device}",
        "tied": "; ".join(f"{a} = {b}" for a, b in description.tied) or None,
        "not in the checkpoint": ", ".join(description.untrained) or None,
        "note": " ".join(description.notes) or None,
        **{f"SHA-256 of {name}": value for name, value in description.weights.items()},
    }.items():
        if value is not None:
            facts.add_row(name, escape(str(value)))
    counts = _table("component", "part", "tensors", "parameters")
    for component in description.components:
        counts.add_row(component.name, component.part, f"{component.tensors:,}", f"{component.parameters:,}")
    tensors, parameters = description.body
    counts.add_section()
    counts.add_row("body", "", f"{tensors:,}", f"{parameters:,}")
    counts.add_row(
        "all", "", f"{sum(c.tensors for c in description.components):,}", f"{description.num_parameters:,}"
    )
    for column in counts.columns[2:]:
        column.justify = "right"
    parts = [
        facts,
        heading("Parameters (tied ones once)"),
        counts,
        heading("Modules"),
        Text(description.tree),
    ]
    return Group(*parts)


def verification(verification: Verification) -> RenderableType:
    """How far each output is from plain transformers."""
    table = _table("output", "largest difference", "largest value", "relative", "texts", "")
    for one in verification.differences:
        is_within = one.relative <= verification.tolerance
        verdict = Text("equal" if is_within else "DIFFERENT", style="green" if is_within else "bold red")
        table.add_row(
            one.output,
            f"{one.largest:.2e}",
            f"{one.scale:.2f}",
            f"{one.relative:.2e}",
            str(one.texts),
            verdict,
        )
    return table


def files(written: Mapping[Path, str], folder: Path) -> RenderableType:
    """Files that were written, and what each holds."""
    table = _table("file", "what it holds")
    for path, holds in written.items():
        table.add_row(str(path), holds)
    return Group(Text(f"Look into {folder.resolve()}", style="bold"), table)


def heading(text: str) -> RenderableType:
    """A line above a part."""
    return Text(f"\n{text}", style="bold")


def _attention(look: Look) -> RenderableType:
    layers = sorted(look.attention)
    table = _table("word", *(f"layer {layer}" for layer in layers))
    first = look.attention[layers[0]]
    for row in range(len(first)):
        cells = []
        for layer in layers:
            to, weight = look.attention[layer]["to"].iloc[row], look.attention[layer]["weight"].iloc[row]
            cells.append(f"{escape(visible(str(to)))} [dim]{weight:.2f}[/dim]")
        table.add_row(escape(visible(str(first["from"].iloc[row]))), *cells)
    return table


def _lengths(look: Look) -> RenderableType:
    medians = np.median(look.lengths, axis=1) if look.lengths.size else np.zeros(len(look.lengths))
    table = _table("layer", "length", "")
    table.columns[1].justify = "right"
    for layer, median in enumerate(medians):
        bar = "█" * round(_BAR * float(median) / max(float(medians.max()), 1e-9))
        table.add_row(
            "0 (embeddings)" if layer == 0 else str(layer), f"{median:.2f}", Text(bar, style="#4292c6")
        )
    return table


def _prediction(prediction: Prediction) -> RenderableType:
    candidates = ", ".join(
        f"{visible(token)} {probability:.1%}" for token, probability in prediction.candidates
    )
    where = f"after or at {prediction.position} ({visible(prediction.token)})"
    return Text(f"{prediction.token if prediction.position is None else where}: {candidates}")


def _shaded(value: float, low: float, high: float) -> Text:
    if np.isnan(value):
        return Text("–", style="dim")
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    number = min(int(share * len(_SHADES)), len(_SHADES) - 1)
    return Text(f" {value:.2f} ", style=f"{'white' if number >= 5 else 'black'} on {_SHADES[number]}")


def _cell(value: object, digits: int) -> str:
    if isinstance(value, float | np.floating):
        return "–" if np.isnan(value) else f"{value:.{digits}f}"
    return shorten(str(value), _MOST)


def _table(*columns: str | Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(escape(str(column)), overflow="fold")
    return table
