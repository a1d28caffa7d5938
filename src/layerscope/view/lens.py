"""What each layer would predict, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from layerscope.shown import shorten, visible
from layerscope.view.terminal import frame, heading
from layerscope.view.wide import Column, Wide

if TYPE_CHECKING:
    import pandas as pd

    from layerscope.analysis.lens import Lens

# The most letters of a token in the grid.
_CELL = 14


def lens(found: Lens) -> RenderableType:
    """The most probable token by layer and position, and from which layer on it is the answer."""
    answers = found.answers()
    answers[["token", "answer", "actual"]] = answers[["token", "answer", "actual"]].map(_shown)
    answers["actual_rank"] = _ranks(answers.actual_rank)
    return Group(
        heading("The most probable token by layer and position, bold where it is the model's answer"),
        _grid(found),
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


def _grid(found: Lens) -> Wide:
    """Tokens by layer and position."""
    grid, columns = found.grid(), []
    for position, string in enumerate(found.tokens.strings):
        is_answer = found.top_ids[:, position, 0] == found.answer_ids[position]
        cells = [
            Text(shorten(_shown(token), _CELL), "bold" if bold else "")
            for token, bold in zip(grid[position], is_answer, strict=True)
        ]
        columns.append(Column(shorten(f"{position} {_shown(string)}", _CELL), cells))
    return Wide([Column("layer", [Text(str(layer)) for layer in grid.index])], columns)


def _shown(token: object) -> str:
    """A token as it is shown; where there is none, –."""
    return visible(token) if isinstance(token, str) else "–"


def _ranks(ranks: pd.Series[int]) -> pd.Series[str]:
    """Ranks as they are shown; where there is none, –."""
    return ranks.map(lambda rank: "–" if rank < 0 else f"{rank:,}")
