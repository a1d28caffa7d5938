"""What every answer can do: a table, plain values, a picture; and what a notebook shows of it."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from base64 import b64encode
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar

from layerscope.errors import LayerscopeError
from layerscope.shown import shorten

if TYPE_CHECKING:
    import pandas as pd

# Characters of a repr.
_MOST = 200

# Rows and columns of a table in a notebook, and letters of a cell.
_ROWS, _COLUMNS, _WIDE = 16, 14, 100

# Dots per inch of a picture, and pixels of the page that an inch takes.
_DOTS, _PIXELS = 144, 80


class Result(ABC):
    """An answer of Layerscope.

    Every answer has `.table()`, a pandas table, and `.to_dict()`, all of it as plain values. All but those of which a
    picture would say nothing have `.plot(ax=None, *, …)`, which draws into an Axes of matplotlib, a new one if left
    out, and returns it. As the last line of a notebook's cell an answer shows its table and its picture.
    """

    # What to call next, as its repr says it.
    _calls: ClassVar[str] = ".table(), .plot(), .to_dict()"

    @abstractmethod
    def table(self) -> pd.DataFrame:
        """The answer as a table."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""

    @abstractmethod
    def _holds(self) -> str:
        """What it holds, in a few words."""

    def _preview(self) -> pd.DataFrame:
        """The table that a notebook shows the ends of; another one where the whole is very large."""
        return self.table()

    def __repr__(self) -> str:
        name, calls = type(self).__name__, f"; see {self._calls}"
        return f"{name}({shorten(self._holds(), _MOST - len(name) - len(calls) - 2)}){calls}"

    def _repr_html_(self) -> str:
        """What it holds, its table and its picture; of a large table its ends."""
        parts = [f"<p><b>{type(self).__name__}</b>: {escape(self._holds())}</p>", _html(self._preview())]
        if hasattr(self, "plot"):
            parts.append(_picture(self))
        # Nothing in it is a formula, whatever signs it has.
        return f'<div class="tex2jax_ignore mathjax_ignore">{"".join(parts)}</div>'


def _html(table: pd.DataFrame) -> str:
    import pandas as pd

    with pd.option_context("display.max_colwidth", _WIDE):
        return str(
            table.to_html(
                max_rows=_ROWS,
                max_cols=_COLUMNS,
                border=0,
                notebook=True,
                na_rep="",
                float_format="{:.4g}".format,
                show_dimensions=len(table) > _ROWS,
            )
        )


def _picture(answer: Any) -> str:
    """The picture of an answer as part of a page; a line that says why where there is none."""
    try:
        sheet = answer.plot().get_figure(root=True)
    except LayerscopeError as error:
        return f"<p><i>{escape(str(error))}</i></p>"
    drawn = BytesIO()
    sheet.savefig(drawn, format="png", dpi=_DOTS)
    if "matplotlib.pyplot" in sys.modules:  # where it would be shown a second time
        sys.modules["matplotlib.pyplot"].close(sheet)
    title = escape(" ".join(sheet.axes[0].get_title().split()), quote=True)
    return (
        f'<img alt="{title}" width="{sheet.get_figwidth() * _PIXELS:.0f}" '
        'style="max-width: 100%; height: auto; margin-top: 8px" '
        f'src="data:image/png;base64,{b64encode(drawn.getvalue()).decode()}">'
    )
