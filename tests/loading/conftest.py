from collections.abc import Callable
from pathlib import Path

import pytest

from tampering import copied


@pytest.fixture
def bert(tiny_folder: Callable[[str], Path]) -> Path:
    """The folder of a tiny checkpoint, to be left as it is."""
    return tiny_folder("bert")


@pytest.fixture
def folder(bert: Path, tmp_path: Path) -> Path:
    """A copy of it, to change."""
    return copied(bert, tmp_path / "bert")
