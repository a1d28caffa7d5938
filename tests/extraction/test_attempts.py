"""Which rows kill: found by workers that die of them, whatever rows they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerscope.errors import ModelError
from layerscope.extraction.attempts import Attempts
from layerscope.extraction.tasks import Task


def made(attempts, kills):
    """Try until the part is made; how often a worker died."""
    deaths = 0
    start = attempts.task.start
    while True:
        suspects = attempts.suspects
        rows = suspects[0] if suspects else range(start, start + attempts.task.count)
        tried = (
            [{row} - attempts.failed.keys() for row in rows]
            if suspects
            else [set(rows) - attempts.failed.keys()]
        )
        if any(map(kills, tried)):
            deaths += 1
            attempts.died()
        elif attempts.survived():
            return deaths


@given(st.integers(1, 300), st.data())
def test_rows_that_kill_fail_and_no_others(count, data):
    killers = set(data.draw(st.lists(st.integers(1000, 999 + count), max_size=5)))
    attempts = Attempts(Task(4, 1000, count))
    deaths = made(attempts, lambda rows: bool(rows & killers))
    assert attempts.failed.keys() == killers
    assert deaths <= 3 + 2 * len(killers) if killers else deaths == 0


def test_rows_that_kill_together_fail_together():
    attempts = Attempts(Task(0, 0, 100))
    assert made(attempts, lambda rows: len(rows) > 60) == 4
    assert attempts.failed.keys() == set(range(100))
    assert "together; a smaller batch_tokens may help" in attempts.failed[0]


def test_a_worker_that_dies_now_and_then_costs_no_row():
    attempts, fates = Attempts(Task(0, 0, 100)), iter([True, True])
    assert made(attempts, lambda rows: next(fates, False)) == 2
    assert attempts.failed == {}


def test_rows_that_cannot_even_be_read_are_named():
    attempts = Attempts(Task(2, 200, 100))
    with pytest.raises(ModelError, match="^Rows 200 to 299 of the corpus cannot even be read by a worker"):
        made(attempts, lambda rows: True)
