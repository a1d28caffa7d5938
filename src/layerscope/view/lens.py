"""What each layer would predict, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from layerscope.shown import visible
from layerscope.view.terminal import frame, heading

if TYPE_CHECKING:
    import pandas as pd

    from layerscope.analysis.lens import Lens

# The most that a token takes in a grid, what is around it, and what the layers take beside.
_CELL, _AROUND, _LAYER = 14, 3, 6


def lens(found: Lens) -> RenderableType:
    """The most probable token by layer and position, and from which layer on it is the answer."""
    answers = found.answers()
    answers[["token", "answer", "actual"]] = answers[["token", "answer", "actual"]].map(_shown)
    answers["actual_rank"] = _ranks(answers.actual_rank)
    return Group(
        heading("The most probable token by layer and position, bold where it is the model's answer"),
        _Grid(found),
        heading("The model's answer at each position, and from which layer on it is the most probable token"),
        frame(answers.rename(columns={"settled": "from layer", "actual_rank": "its rank"})),
    )


def lens_at(found: Lens, position: int) -> RenderableType:
    """One position in detail: the most probable tokens of each layer, and how far it is from the answer."""
    answer = found.answers().iloc[position]
    best = found.candidates(position)
    best["cell"] = [f"{_shown(one.token)} {one.probability:.1%}" for one in best.itertuples()]
    kept = ["answer_rank", "answer_probability", "actual_rank", "entropy", "divergence"]
    rows = found.table(position).set_index("layer")[kept]
    rows["actual_rank"] = _ranks(rows.actual_rank)
    names = {
        "answer_rank": "answer's rank",
        "answer_probability": "probability",
        "actual_rank": "actual's rank",
    }
    actual = f"; the actual token is {_shown(answer.actual)}" if isinstance(answer.actual, str) else ""
    at = range(len(found.tokens))[position]
    return Group(
        heading(f"Position {at} ({_shown(answer.token)}): the answer is {_shown(answer.answer)}{actual}"),
        frame(best.pivot(index="layer", columns="rank", values="cell").join(rows.rename(columns=names))),
        Text("Entropy of each layer's distribution and its divergence from the last one's, in nats."),
    )


class _Grid:
    """Tokens by layer and position, in as many tables below each other as the width of the terminal asks for."""

    def __init__(self, found: Lens) -> None:
        self._found = found

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        columns = self._columns()
        widths = [_AROUND + min(max(text.cell_len for text in column), _CELL) for column in columns]
        start = 0
        while start < len(columns):
            stop, room = start + 1, options.max_width - _LAYER - widths[start]
            while stop < len(columns) and room >= widths[stop]:
                room -= widths[stop]
                stop += 1
            table = Table("layer", box=box.SIMPLE_HEAD, pad_edge=False)
            for header, *_ in columns[start:stop]:
                table.add_column(header, max_width=_CELL, no_wrap=True, overflow="ellipsis")
            for layer in range(len(self._found.top_ids)):
                table.add_row(str(layer), *(column[layer + 1] for column in columns[start:stop]))
            yield table
            start = stop

    def _columns(self) -> list[list[Text]]:
        """For each position the token that was read, and what each layer would predict."""
        found, grid, columns = self._found, self._found.grid(), []
        for position, string in enumerate(found.tokens.strings):
            is_answer = found.top_ids[:, position, 0] == found.answer_ids[position]
            styles = ["bold" if one else "" for one in is_answer]
            read = Text(f"{position} {_shown(string)}")
            columns.append([read, *map(Text, map(_shown, grid[position]), styles)])
        return columns


def _shown(token: object) -> str:
    """A token as it is shown; where there is none, –."""
    return visible(token) if isinstance(token, str) else "–"


def _ranks(ranks: pd.Series[int]) -> pd.Series[str]:
    """Ranks as they are shown; where there is none, –."""
    return ranks.map(lambda rank: "–" if rank < 0 else f"{rank:,}")
