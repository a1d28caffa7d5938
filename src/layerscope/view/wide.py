"""A table that fits the width of the terminal: text wraps, and columns that have no room go below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

# What a column takes beside its text; the least that a column of text is made.
_AROUND, _LEAST = 3, 20


@dataclass(frozen=True, eq=False)
class Column:
    """A column: its name, its cells, and the side that they stand on."""

    name: str
    cells: Sequence[Text]
    justify: Literal["left", "right"] = "left"

    @property
    def width(self) -> int:
        """What it takes without a line being broken."""
        return max(Text(self.name).cell_len, *(cell.cell_len for cell in self.cells), 1)


class Wide:
    """Columns under their names, the first ones repeated where there are several tables below each other."""

    def __init__(self, first: Sequence[Column], others: Sequence[Column]) -> None:
        self._first, self._others = list(first), list(others)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        widths = self._widths(options.max_width)
        fixed = sum(widths[column] + _AROUND for column in self._first)
        start = 0
        while start < len(self._others) or start == 0:
            stop, room = start, options.max_width - fixed
            while stop < len(self._others) and (
                stop == start or room >= widths[self._others[stop]] + _AROUND
            ):
                room -= widths[self._others[stop]] + _AROUND
                stop += 1
            yield self._table([*self._first, *self._others[start:stop]], widths)
            if stop >= len(self._others):
                return
            start = stop

    def _widths(self, most: int) -> dict[Column, int]:
        """How wide each column is; text is made narrower where all have room then."""
        columns = [*self._first, *self._others]
        widths = {column: column.width for column in columns}
        too_much = sum(widths.values()) + _AROUND * len(columns) - most
        for column in sorted(columns, key=lambda one: -widths[one]):
            if too_much > 0 and column.justify == "left" and widths[column] > _LEAST:
                less = min(too_much, widths[column] - _LEAST)
                widths[column] -= less
                too_much -= less
        if too_much > 0:  # there will be several tables, which have room for text
            widths = {column: min(column.width, max(_LEAST, most // 2)) for column in columns}
        return widths

    @staticmethod
    def _table(columns: Sequence[Column], widths: dict[Column, int]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in columns:
            table.add_column(Text(column.name), justify=column.justify, width=widths[column], overflow="fold")
        for row in zip(*(column.cells for column in columns), strict=True):
            table.add_row(*row)
        return table
