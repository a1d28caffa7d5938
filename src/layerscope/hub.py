"""Hub ids: the snapshot of a model's files on this machine, downloaded if need be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from layerscope.errors import CheckpointError, UntrustedError

# What a checkpoint is read from. Weights are named as transformers names them, so that other copies in the
# same repository (onnx, original formats) are not downloaded.
_TEXTS = ["*.json", "*.txt", "*.model", "*.py", "*.jinja"]
_SAFETENSORS = ["model.safetensors", "model-*-of-*.safetensors"]
_PICKLES = ["pytorch_model.bin", "pytorch_model-*-of-*.bin"]


def snapshot(name: str, revision: str | None, allow_pickle: bool) -> Path:
    """The folder of a Hub id at a revision; HF_HOME and offline mode are honoured.

    Raises:
        CheckpointError: no such model or revision, no permission, or no network and not in the cache.
        UntrustedError: it has pickled weights only.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    at = f" at revision {revision}" if revision else ""
    try:
        with _no_bars():
            weights = _SAFETENSORS + (_PICKLES if allow_pickle else [])
            folder = Path(
                snapshot_download(
                    name, revision=revision, allow_patterns=[*_TEXTS, *weights], ignore_patterns=["*/*"]
                )
            )
            if not allow_pickle and not any(folder.glob("model*.safetensors")):
                _refuse_pickles(name, revision)
    except HFValidationError as error:
        raise CheckpointError(
            f"{name!r} is neither a folder nor a Hub id; ids look like bert-base-uncased or google-bert/bert-base-uncased."
        ) from error
    except GatedRepoError as error:
        raise CheckpointError(f"{name} is gated: accept its terms on the Hub and log in with `hf auth login`.") from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(f"There is no folder {name} and no model {name} on the Hub (or it is private).") from error
    except RevisionNotFoundError as error:
        raise CheckpointError(f"The model {name} has no revision {revision} on the Hub.") from error
    except LocalEntryNotFoundError as error:
        raise CheckpointError(
            f"{name}{at} is neither a folder nor in the cache of downloaded models, and the Hub cannot be reached."
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise CheckpointError(f"{name}{at} could not be fetched from the Hub: {str(error).splitlines()[0]}") from error
    return folder


def _refuse_pickles(name: str, revision: str | None) -> None:
    """Raise if the model has weights, but only as pickles; they were not downloaded."""
    from huggingface_hub import HfApi
    from huggingface_hub.constants import is_offline_mode

    if is_offline_mode():
        return
    files = HfApi().list_repo_files(name, revision=revision)
    if any(file.startswith("pytorch_model") for file in files):
        raise UntrustedError(
            f"The weights of {name} are pickles, which can run any code when opened; there are no safetensors. If you "
            "trust it, load it with allow_pickle=True (--allow-pickle)."
        )


@contextmanager
def _no_bars() -> Iterator[None]:
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            enable_progress_bars()
