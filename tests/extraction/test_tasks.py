"""Tasks with rows, and references to them, are of the same parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerscope.corpus.corpus import open_corpus
from layerscope.errors import InputError, StorageError
from layerscope.extraction.tasks import references, tasks
from layerscope.store.part import MOST_PARTS, Part, part_file


def there(numbers, rows_of):
    return [
        Part(part_file(number), rows.start, len(rows), 9, 0, 9, "0" * 64, rows.digest())
        for number, rows in enumerate(rows_of)
        if number in numbers
    ]


@given(st.integers(0, 30), st.integers(1, 7), st.sets(st.integers(0, 9)))
def test_references_are_those_of_all_parts_and_tasks_of_those_that_are_missing(count, size, numbers):
    corpus = open_corpus([f"Text {number}." for number in range(count)])
    before = there(numbers, corpus.chunks(size))
    given = list(tasks(corpus.chunks(size), before))
    referred = list(references(count, size, before))
    assert [task.before.start for task in referred if task.before] == [part.start for part in before]
    missing = [(task.number, task.start, task.count) for task in referred if task.before is None]
    assert missing == [(task.number, task.start, task.count) for task in given]
    assert all(task.rows is None for task in referred)
    assert all(len(task.rows) == task.count for task in given)


def test_a_corpus_that_became_shorter():
    parts = there({0, 1, 2}, open_corpus(["a", "b", "c", "d", "e"]).chunks(2))
    for make in (
        lambda: references(4, 2, parts),
        lambda: tasks(open_corpus(["a", "b", "c", "d"]).chunks(2), parts),
    ):
        with pytest.raises(StorageError, match=r"it ends before row 4, which is in part-000002.parquet"):
            list(make())


def test_more_parts_than_a_folder_has():
    with pytest.raises(
        InputError, match="A folder has 1,000,000 parts at most: give part_rows= a larger number"
    ):
        part_file(MOST_PARTS)
