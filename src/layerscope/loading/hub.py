"""Hub ids: the snapshot of a model's files on this machine, downloaded if need be."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from layerscope.errors import CheckpointError, InputError
from layerscope.loading.weights import ADAPTER, not_a_checkpoint, weight_names

# What a checkpoint is read from, beside its weights. Copies of them in other formats (onnx and the like) are
# not downloaded, nor are folders.
_TEXTS = ("*.json", "*.txt", "*.model", "*.py", "*.jinja")

# Seconds to wait for the Hub's first answer before the cache is taken.
_PATIENCE = 10


def snapshot(
    name: str,
    revision: str | None = None,
    *,
    weights: bool = True,
    allow_pickle: bool = False,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> Path:
    """The folder of a Hub id at a revision; HF_HOME and offline mode are honoured.

    The Hub is asked for its list of files first, so that what cannot or must not be loaded is not downloaded, nor
    weights that are not wanted. If it does not answer, what was downloaded before is taken.

    Raises:
        InputError: this cannot be a Hub id.
        CheckpointError: no such model or revision, no permission, or no network and not in the cache.
        UntrustedError: it has pickled weights only.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    fetch = partial(snapshot_download, name, revision=revision, token=token, cache_dir=cache_dir)
    try:
        if local_files_only:
            return Path(fetch(local_files_only=True, allow_patterns="config.json"))
        there = HfApi().model_info(name, revision=revision, timeout=_PATIENCE, token=token)
    except HFValidationError as error:
        raise InputError(
            f"{name!r} is neither a folder nor a Hub id; ids look like gpt2 or google-bert/bert-base-uncased."
        ) from error
    except Exception as error:
        try:
            return Path(fetch(local_files_only=True, allow_patterns="config.json"))
        except LocalEntryNotFoundError:
            raise CheckpointError(_why(name, revision, error)) from error
    files = _wanted(name, [file.rfilename for file in there.siblings or ()], weights, allow_pickle)
    try:
        return Path(fetch(allow_patterns=files))
    except Exception as error:
        raise CheckpointError(_why(name, revision, error, broke_off=True)) from error


def cached(name: str, revision: str | None = None) -> Path | None:
    """The folder of a Hub id that was downloaded before, None if it was not; the Hub is not asked."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json", revision=revision)
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def _wanted(name: str, files: Collection[str], weights: bool, allow_pickle: bool) -> list[str]:
    """Of the files of a model on the Hub, those that it is loaded from."""
    top = [file for file in files if "/" not in file]
    if "config.json" not in top:
        raise not_a_checkpoint(name, top)
    texts = [file for file in top if file != ADAPTER and any(fnmatch(file, pattern) for pattern in _TEXTS)]
    return texts + (weight_names(name, top, allow_pickle) if weights else [])


def _why(name: str, revision: str | None, error: BaseException, broke_off: bool = False) -> str:
    """The sentence for what huggingface_hub raised."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    model = f"{name} at revision {revision}" if revision else name
    if isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    match error:
        case GatedRepoError():
            return (
                f"{name} is gated: accept its terms on its page of the Hub, then log in with: hf auth login"
            )
        case RepositoryNotFoundError():
            return (
                f"There is no folder {name} here and no model {name} on the Hub. If it is private, log in "
                "with: hf auth login"
            )
        case RevisionNotFoundError():
            return f"The model {name} on the Hub has no revision {revision}."
        case HfHubHTTPError():
            said = f" ({error.server_message})" if error.server_message else ""
            return f"{model} could not be fetched: the Hub answered {error.response.status_code}{said}."
        case _ if broke_off:
            said = str(error).rstrip(".")
            return f"The download of {model} broke off: {said}. Loading it again goes on from there."
        case OfflineModeIsEnabled():
            why = "offline mode is on (HF_HUB_OFFLINE)"
        case LocalEntryNotFoundError():
            why = "only local files were asked for"
        case OSError():
            return f"{model} could not be fetched: {error}."
        case _:
            why = f"the Hub cannot be reached at {constants.ENDPOINT}"
    return f"{model} is neither a folder nor among the models downloaded before, and {why}."
