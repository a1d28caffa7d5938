"""What became of the attempts to make a part: which of its rows kill whoever computes them?"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from layerscope.errors import ModelError
from layerscope.extraction.tasks import Task

# How often a part may cost a worker its life before its rows are tried, and how many of them are tried together.
DEATHS, _TRIED = 3, 64

_KILLS = "a worker dies of it again and again; most often that is for want of memory"
_ALL_KILL = "a worker dies of the rows of its part together; a smaller batch_tokens may help"


@dataclass(eq=False)
class Attempts:
    """A task, and what is known of its rows.

    Attributes:
        task: what is to be made.
        deaths: how often a worker died that had it.
        suspects: ranges of its rows that are to be run alone, one row after the other, to see which of them kills.
        failed: the errors of rows that kill, by their numbers; they are not to be run again.
    """

    task: Task
    deaths: int = 0
    suspects: deque[range] = field(default_factory=deque)
    failed: dict[int, str] = field(default_factory=dict)

    def died(self) -> None:
        """A worker died that had it, perhaps of it.

        After some deaths its rows are tried, in ranges, then each alone. If none kills alone, all fail together.

        Raises:
            ModelError: it kills though none of its rows is run any more.
        """
        rows = range(self.task.start, self.task.start + self.task.count)
        if self.suspects:
            tried = self.suspects.popleft()
            if len(tried) > 1:
                self.suspects.extendleft(range(row, row + 1) for row in reversed(tried))
            else:
                self.failed[tried.start] = _KILLS
            return
        self.deaths += 1
        if self.deaths == DEATHS:
            self.suspects.extend(rows[at : at + _TRIED] for at in range(0, len(rows), _TRIED))
        elif self.deaths == DEATHS + 1:
            self.failed = dict.fromkeys(rows, _ALL_KILL) | self.failed
        elif self.deaths > DEATHS + 1:
            raise ModelError(
                f"Rows {rows.start} to {rows.stop - 1} of the corpus cannot even be read by a worker without its "
                "death; most often that is for want of memory."
            )

    def survived(self) -> bool:
        """A worker did what was asked; whether that was the part itself, and not a range of suspects."""
        if not self.suspects:
            return True
        self.suspects.popleft()
        return False
