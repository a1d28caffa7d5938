"""Finding parts that are no longer what was written, by their checksums, so that they are made again."""

from __future__ import annotations

from pathlib import PurePath

from layerscope.errors import StorageError
from layerscope.extraction.folder import Folder


def forget_damaged(out: str | PurePath) -> list[str]:
    """Read every part of a folder, and forget those whose checksum is not that of the manifest.

    The next `extract` into the folder makes them again, and they will be what they were.

    Returns:
        the names of the damaged and missing parts.

    Raises:
        StorageError: there are no features there, or somebody is writing to them.
    """
    folder = Folder.at(out)
    if not folder.is_there:
        raise StorageError(f"There is no folder {out}.")
    with folder.locked():
        manifest = folder.read_manifest()
        if manifest is None:
            raise StorageError(f"There are no features in {out}.")
        lost = folder.lost(manifest.parts, thorough=True)
        if lost:
            folder.write_manifest(manifest.without(set(lost)))
            folder.remove(lost)
    return lost
