"""The record of a run: each part costs one list, in whatever order they are made, and the lists are the same."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import layerscope as ls
from layerscope.errors import StorageError
from layerscope.store.folder import Folder
from layerscope.store.manifest import LISTED, Manifest
from layerscope.store.part import Part, part_file
from layerscope.store.record import Record, forget
from manifests import parts_of

SETTINGS = {
    "model": {},
    "features": ["mean@1"],
    "columns": {"mean_1": {"feature": "mean@1", "width": 4}},
    "dtype": "float32",
    "column_dtype": "float32",
    "long_texts": {},
    "corpus": {},
    "schema": {"mean_1": "fixed_size_list<item: float>[4]"},
    "on_error": "row",
    "part_rows": 2,
}
BEGUN = Manifest(SETTINGS, {"model": {"name": "nobody"}, "precision_check": None})


def part(number):
    return Part(part_file(number), 2 * number, 2, 5, 1, 0, "0" * 64, "1" * 64)


def states(folder):
    """What each file is, by its name: a file that is written anew is another."""
    return {
        path.name: path.stat().st_ino for path in [*folder.glob("*.json"), *(folder / "_parts").iterdir()]
    }


def test_a_part_costs_one_list_however_many_there_are(tmp_path):
    record = Record(Folder.at(tmp_path), BEGUN)
    record.add(map(part, range(3 * LISTED)))
    before = states(tmp_path)
    assert sorted(before) == ["000000.jsonl", "001000.jsonl", "002000.jsonl", "_manifest.json"]
    record.add([part(3 * LISTED)])
    after = states(tmp_path)
    assert {name for name in after if after[name] != before.get(name)} == {"003000.jsonl"}
    assert (tmp_path / "_parts/003000.jsonl").read_text().count("\n") == 1


@settings(max_examples=4)  # each part that is listed reaches the disk before the next
@given(st.integers(0, 999), st.lists(st.integers(100, 400), min_size=1, max_size=8))
def test_lists_are_the_same_in_whatever_order_parts_are_made(tmp_path_factory, seed, runs):
    chance = random.Random(seed)

    def lists(order, runs):
        out = tmp_path_factory.mktemp("out")
        parts = list(map(part, order))
        record = Record(Folder.at(out), BEGUN)
        for size in runs * len(parts):
            record.add(parts[:size])
            del parts[:size]
            if not parts:
                break
            if chance.random() < 0.2:  # stopped and taken up again, without files: they are not looked for
                for one in parts_of(out):
                    (out / one["file"]).touch()
                record = Record(Folder.at(out), Folder.at(out).read_manifest())
        record.complete()
        for one in parts_of(out):
            (out / one["file"]).touch()
        assert len(ls.open_features(out)) == 2 * len(order)
        return {path.name: path.read_bytes() for path in [*out.glob("*.json"), *out.glob("_parts/*")]}

    numbers = list(range(LISTED + 7))
    shuffled = chance.sample(numbers, len(numbers))
    assert lists(shuffled, runs) == lists(numbers, [len(numbers)])


def test_what_is_lost_is_taken_from_its_list_and_the_folder_is_not_complete(tmp_path):
    folder = Folder.at(tmp_path)
    record = Record(folder, BEGUN)
    for number in range(LISTED + 3):
        (tmp_path / part_file(number)).touch()
    record.add(map(part, range(LISTED + 3)))
    record.complete()
    whole = {path.name: path.read_bytes() for path in [*tmp_path.glob("*.json"), *tmp_path.glob("_parts/*")]}
    (tmp_path / part_file(5)).unlink()
    again = Record(folder, folder.read_manifest())
    assert again.totals["parts"] == LISTED + 2
    assert not folder.read_manifest().complete
    assert [one["file"] for one in parts_of(tmp_path)][4:6] == [part_file(4), part_file(6)]
    (tmp_path / part_file(5)).touch()
    again.add([part(5)])
    again.complete()
    assert whole == {
        path.name: path.read_bytes() for path in [*tmp_path.glob("*.json"), *tmp_path.glob("_parts/*")]
    }


def test_stopped_while_it_forgets(tmp_path, monkeypatch):
    """At worst the folder is not complete, and still lists what is damaged: the next check finds it."""
    folder = Folder.at(tmp_path)
    record = Record(folder, BEGUN)
    record.add(map(part, range(3)))
    record.complete()
    writes = []

    def fails(self, name, text, write=Folder.write):
        if writes:
            raise KeyboardInterrupt
        writes.append(name)
        write(self, name, text)

    monkeypatch.setattr(Folder, "write", fails)
    with pytest.raises(KeyboardInterrupt):
        forget(folder, folder.read_manifest(), [part_file(1)])
    found = folder.read_manifest()
    assert (found.complete, len(found.parts)) == (False, 3)


@pytest.mark.parametrize("harm", ["cut", "another list", "gone"])
def test_a_list_that_was_changed_is_refused(tmp_path, harm):
    record = Record(Folder.at(tmp_path), BEGUN)
    record.add(map(part, range(LISTED + 3)))
    record.complete()
    lists = tmp_path / "_parts"
    if harm == "cut":
        whole = (lists / "000000.jsonl").read_bytes()
        (lists / "000000.jsonl").write_bytes(whole[: random.Random(1).randrange(len(whole))])
    elif harm == "another list":
        (lists / "000000.jsonl").write_bytes((lists / "001000.jsonl").read_bytes())
    else:
        (lists / "001000.jsonl").unlink()
    with pytest.raises(
        StorageError, match=r"/(_parts/0..000.jsonl|_manifest.json) is damaged, or was changed: "
    ):
        ls.open_features(tmp_path)


@pytest.mark.parametrize("name", ["a [1]", "all*", "what?", "50 %", "äöü"])
@pytest.mark.parametrize("where", ["", "memory://"])
def test_a_folder_is_found_by_its_name_whatever_signs_are_in_it(tmp_path, name, where):
    folder = Folder.at(f"{where}{tmp_path / name}")
    record = Record(folder, BEGUN)
    record.add(map(part, range(LISTED + 1)))
    record.complete()
    assert folder.read_manifest().totals["parts"] == LISTED + 1
