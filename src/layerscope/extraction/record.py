"""The record of a running extraction: its manifest, kept on disk as it grows."""

from __future__ import annotations

import threading
from dataclasses import replace

from layerscope.extraction.folder import Folder
from layerscope.extraction.job import Job
from layerscope.extraction.manifest import Manifest
from layerscope.extraction.part import Part


class Record:
    """The manifest of a job, written whenever a part is made.

    Attributes:
        manifest: as it is now.
    """

    def __init__(self, folder: Folder, job: Job) -> None:
        """Written at once, so that a folder says from the beginning what it is; what is lost is not in it."""
        self._folder = folder
        self._budget = job.maker.budget
        self._lock = threading.Lock()
        self.manifest: Manifest = job.manifest.without(set(folder.lost(job.manifest.parts)))
        self._write(self.manifest)

    def add(self, part: Part) -> None:
        """A part lies in its place."""
        with self._lock:
            self._write(self.manifest.with_part(part))

    def complete(self) -> None:
        """The corpus was read to its end and every part is there."""
        with self._lock:
            self._write(replace(self.manifest, complete=True))

    def _write(self, manifest: Manifest) -> None:
        about = {**manifest.about, "batch_tokens": self._budget.tokens}
        self.manifest = replace(manifest, about=about)
        self._folder.write_manifest(self.manifest)
