"""The record of a run: its manifest on disk, kept up as parts are made, at the same cost for each."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from layerscope.store.folder import Folder
from layerscope.store.manifest import LISTED, NAME, PARTS, Manifest, header, list_of, totals
from layerscope.store.part import Part


class Record:
    """What a run has made so far, written whenever that is more.

    In memory are the lines of those lists alone that are not full: few, since parts are made about in order.

    Attributes:
        before: the parts that were there when the run began, without those that were lost.
        totals: of all that are there now.
    """

    def __init__(self, folder: Folder, manifest: Manifest) -> None:
        """Written at once, so that a folder says from the beginning what it is; what is lost is not in it."""
        self.before = forget(folder, manifest, folder.lost(manifest.parts))
        self.totals = dict(self.before.totals)
        self._folder = folder
        self._header = replace(self.before, parts=())
        sizes = Counter(list_of(part.number) for part in self.before.parts)
        self._lines = _lines(part for part in self.before.parts if sizes[list_of(part.number)] < LISTED)
        self._lock = threading.Lock()
        folder.make(PARTS)
        self._write_header()

    def add(self, parts: Iterable[Part]) -> None:
        """Parts lie in their places. Those that are given together are written together."""
        with self._lock:
            parts = list(parts)
            for name, number in totals(parts).items():
                self.totals[name] += number
            for name, lines in _lines(parts).items():
                self._lines[name] |= lines
                _write(self._folder, name, self._lines[name])
                if len(self._lines[name]) == LISTED:
                    del self._lines[name]

    def note(self, **about: Any) -> None:
        """Something that is good to know has changed, perhaps: a number of tokens that was halved."""
        with self._lock:
            noted = {**self._header.about, **about}
            if noted != self._header.about:
                self._header = replace(self._header, about=noted)
                self._write_header()

    def complete(self) -> None:
        """The corpus was read to its end and every part is there."""
        with self._lock:
            self._header = replace(self._header, complete=True)
            self._write_header()

    def _write_header(self) -> None:
        self._folder.write(NAME, header(self._header, self.totals if self._header.complete else {}))


def forget(folder: Folder, manifest: Manifest, files: Iterable[str]) -> Manifest:
    """Take parts out of a manifest, so that they are made again; it is no longer complete before they are gone."""
    lost = set(files)
    if not lost:
        return manifest
    left = manifest.without(lost)
    folder.write(NAME, header(left, {}))
    changed = {list_of(part.number) for part in manifest.parts if part.file in lost}
    lines = _lines(part for part in left.parts if list_of(part.number) in changed)
    for name in changed:
        _write(folder, name, lines[name])
    return left


def _lines(parts: Iterable[Part]) -> defaultdict[str, dict[int, str]]:
    """The lines of parts by the names of their lists, each by the number of its part."""
    lines: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for part in parts:
        lines[list_of(part.number)][part.number] = part.to_line()
    return lines


def _write(folder: Folder, name: str, lines: dict[int, str]) -> None:
    folder.write(name, "".join(f"{lines[number]}\n" for number in sorted(lines)))
