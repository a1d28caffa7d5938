"""`Hits`: what a search found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layerscope.arguments import checked
from layerscope.result import Result
from layerscope.shown import counted, shorten

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Characters of a hit in a figure.
_NAME = 60


@dataclass(frozen=True, eq=False, repr=False)
class Hits(Result):
    """What a search found.

    Attributes:
        column: where it searched.
        names: what is said of each hit: "query" (its number) where several were given; "row"; "score", the
            cosine; "id" where the corpus has one; then "text" (and "pair"), or of words and tokens "word" or
            "token", "start", "end" (and "sequence") and "context".
        hits: the values by these names, the nearest first; where there are several queries, query by query.
        left_out: how many rows, words or tokens could not be found, since they have no vector, or one that is near to
            nothing: rows with an error, words without tokens, zeros, NaN.
    """

    column: str
    names: tuple[str, ...]
    hits: tuple[dict[str, Any], ...]
    left_out: int

    def table(self) -> pd.DataFrame:
        """The hits as rows."""
        import pandas as pd

        return pd.DataFrame(list(self.hits), columns=pd.Index(self.names))

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {"column": self.column, "hits": [dict(hit) for hit in self.hits], "left_out": self.left_out}

    @checked
    def plot(self, ax: Axes | None = None) -> Axes:
        """A bar for each hit, the nearest on top.

        Raises:
            InputError: there are more hits than can be read in one figure.
        """
        import pandas as pd

        from layerscope.plots.bars import bars

        names = [
            f"{hit['row']}: {shorten(' '.join(str(hit[self.names[-1]]).split()), _NAME)}" for hit in self.hits
        ]
        scores = pd.Series([hit["score"] for hit in self.hits], index=names, dtype=float)
        return bars(scores, title=f"nearest in {self.column}", xlabel="cosine", ylabel="row", ax=ax)

    def _holds(self) -> str:
        best = f", the nearest {self.hits[0]['score']:.3f}" if self.hits else ""
        return f"{counted(len(self.hits), 'hit')} in {self.column}{best}"
