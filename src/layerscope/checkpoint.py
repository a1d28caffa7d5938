"""Loading: from a Hub id, a folder or a .gguf file to a `Model`; what is refused, and why.

Every source becomes a folder first (a Hub id by its snapshot, the bundled model by its package), so that
there is one way to read configuration, weights and tokenizer.
"""

from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path
from typing import Any

from layerscope import bundled
from layerscope.errors import CheckpointError, InputError, MissingExtraError, NewHeadWarning, UntrustedError, unknown
from layerscope.heads import TASKS, architecture
from layerscope.hub import snapshot
from layerscope.model import Model, Source
from layerscope.quiet import quiet

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("float32", "float16", "bfloat16", "auto")


def load(
    checkpoint: str | Path | None = None,
    *,
    revision: str | None = None,
    task: str | None = None,
    dtype: Any = "float32",
    device: Any = "auto",
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
    **options: Any,
) -> Model:
    """Load a pretrained model and its tokenizer, ready to be looked into.

    A checkpoint with a language-model head is loaded with it, so that there are logits; one without is
    loaded bare; a task's head only when asked for.

    Args:
        checkpoint: a Hub id ("google-bert/bert-base-uncased"), a folder, or a .gguf file; None for the bundled
            sentence-transformers/all-MiniLM-L6-v2, which needs no network.
        revision: of a Hub id, a branch, tag or commit.
        task: "classify", "tag", "answer" or "next_sentence" to load that head instead.
        dtype: "float32", "float16", "bfloat16", "auto" for the checkpoint's own, or a torch dtype.
        device: "auto" (cuda, then mps, then cpu), or a torch device.
        allow_pickle: accept weights in pickle files, which can run any code when opened.
        trust_remote_code: accept model code that comes with the checkpoint, and run it.
        options: further keywords of transformers' from_pretrained (device_map, quantization_config, …).

    Raises:
        CheckpointError: it cannot be loaded; the sentence says why, the cause is chained.
        UntrustedError: it would need code or pickles from the checkpoint to be run.

    >>> import layerscope as ls
    >>> ls.load()
    Model('sentence-transformers/all-MiniLM-L6-v2': encoder, 6 layers, 12 heads, hidden size 384, vocabulary 30,522)
    """
    if task is not None and task not in TASKS:
        raise unknown("task", task, TASKS)
    source, gguf = _locate(checkpoint, revision, allow_pickle)
    options |= {"dtype": _dtype(dtype), "trust_remote_code": trust_remote_code}
    with quiet():
        if gguf is not None:
            options["gguf_file"] = gguf
            _need_gguf()
        else:
            options["use_safetensors"] = not _only_pickles(source, allow_pickle)
            _refuse_remote_code(source, trust_remote_code)
        hf, untrained = _load_network(source, task, options)
        tokenizer = _load_tokenizer(source, trust_remote_code, gguf)
        if "device_map" not in options:
            hf = hf.to(_device(device))
    hf.eval().requires_grad_(False)
    return Model(hf, tokenizer, source, untrained)


def wrap(hf: Any, tokenizer: Any, name: str | None = None) -> Model:
    """A `Model` of a transformers model and tokenizer that you loaded yourself (quantised, sharded, adapted).

    Nothing about them is changed. `name` is what errors and tables call it.

    Raises:
        InputError: these are not a transformers model and a tokenizer.
    """
    if not hasattr(hf, "config") or not hasattr(hf, "named_modules"):
        raise InputError(f"wrap takes a transformers model and its tokenizer; the first is a {type(hf).__name__}.")
    if not hasattr(tokenizer, "convert_ids_to_tokens"):
        raise InputError(f"wrap takes a transformers model and its tokenizer; the second is a {type(tokenizer).__name__}.")
    return Model(hf, tokenizer, Source(name or getattr(hf.config, "name_or_path", "") or type(hf).__name__))


def _locate(checkpoint: str | Path | None, revision: str | None, allow_pickle: bool) -> tuple[Source, str | None]:
    """Where the files are, and for a GGUF checkpoint the name of its file."""
    if checkpoint is None:
        folder = bundled.bundled_folder()
        return Source(bundled.NAME, folder, None, _weights(folder)), None
    path, name = Path(checkpoint).expanduser(), str(checkpoint)
    if path.suffix.lower() == ".gguf":
        if not path.is_file():
            raise CheckpointError(f"There is no file {name}.")
        return Source(name, path.parent, None, (path,)), path.name
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise CheckpointError(f"The folder {name} has no config.json, so it is not a transformers checkpoint.")
        return Source(name, path, None, _weights(path)), None
    if path.is_file():
        raise CheckpointError(f"{name} is a file; give the folder that holds config.json, or a .gguf file.")
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise CheckpointError(f"There is no folder {name}.")
    folder = snapshot(name, revision, allow_pickle)
    return Source(name, folder, folder.name, _weights(folder)), None


def _weights(folder: Path) -> tuple[Path, ...]:
    """The weight files of a checkpoint's folder: safetensors if there are any, else pickles."""
    safe = sorted(folder.glob("model*.safetensors"))
    return tuple(safe or sorted(folder.glob("pytorch_model*.bin")))


def _only_pickles(source: Source, allow_pickle: bool) -> bool:
    if not source.weights:
        raise CheckpointError(f"{source.name} has no weights: there is no model.safetensors beside its config.json.")
    if source.weights[0].suffix == ".safetensors":
        return False
    if not allow_pickle:
        raise UntrustedError(
            f"The weights of {source.name} are pickles ({source.weights[0].name}), which can run any code when opened. "
            "If you trust it, load it with allow_pickle=True (--allow-pickle); better, look for a safetensors revision."
        )
    return True


def _refuse_remote_code(source: Source, trusted: bool) -> None:
    """Raise if the checkpoint's model exists only as code that comes with it."""
    from transformers import CONFIG_MAPPING

    assert source.folder is not None
    try:
        config = json.loads((source.folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"The config.json of {source.name} is not valid JSON: {error}.") from error
    family = config.get("model_type") if isinstance(config, dict) else None
    if family in CONFIG_MAPPING:
        return
    if isinstance(config, dict) and config.get("auto_map"):
        if not trusted:
            raise UntrustedError(
                f"{source.name} brings its own model code, which would be run here. If you have read and trust it, load "
                "it with trust_remote_code=True (--trust-remote-code)."
            )
        return
    if family is None:
        raise CheckpointError(f"The config.json of {source.name} names no model_type, so its family is unknown.")
    raise CheckpointError(f"{source.name} is of the family {family!r}, which this transformers version does not know.")


def _load_network(source: Source, task: str | None, options: dict[str, Any]) -> tuple[Any, frozenset[str]]:
    """The network, and the names of its parameters for which the checkpoint has no weights."""
    from transformers import AutoConfig

    only = {name: options[name] for name in ("trust_remote_code", "gguf_file") if name in options}
    try:
        config = AutoConfig.from_pretrained(source.folder, **only)
        network = architecture(config, task, source.weights)
        hf, info = network.from_pretrained(source.folder, config=config, output_loading_info=True, **options)
    except (CheckpointError, InputError):
        raise
    except Exception as error:
        raise CheckpointError(f"{source.name} could not be loaded: {_first_line(error)}") from error
    untrained = frozenset(info["missing_keys"])
    _say_what_is_new(source, hf, untrained)
    return hf, untrained


def _say_what_is_new(source: Source, hf: Any, untrained: frozenset[str]) -> None:
    """Refuse a network with holes in its body; give notice, once, of a head that was made new."""
    inside = f"{hf.base_model_prefix}." if hf.base_model is not hf else ""
    new = sorted(name for name in untrained if "pooler" not in name)  # the pooler is refused when it is asked for
    holes = [name for name in new if name.startswith(inside)]
    if holes:
        raise CheckpointError(
            f"The weights of {source.name} do not fit its config.json: {len(holes)} of its parameters are not among "
            f"them, such as {holes[0]}."
        )
    if new:
        heads = ", ".join(sorted({name.split(".")[0] for name in new}))
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # this is inside quiet(), and is meant to be heard
            warnings.warn(
                f"{source.name} has no weights for the head {heads!r}: it was made new, and gives noise until it is "
                "fine-tuned.",
                NewHeadWarning,
                stacklevel=4,
            )


def _load_tokenizer(source: Source, trusted: bool, gguf: str | None) -> Any:
    from transformers import AutoTokenizer

    options = {"gguf_file": gguf} if gguf is not None else {}
    try:
        return AutoTokenizer.from_pretrained(source.folder, trust_remote_code=trusted, **options)
    except Exception as error:
        raise CheckpointError(
            f"The tokenizer of {source.name} could not be loaded: {_first_line(error)} If it lives elsewhere, load "
            "both yourself and give them to wrap()."
        ) from error


def _dtype(dtype: Any) -> Any:
    import torch

    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    return dtype if dtype == "auto" else getattr(torch, dtype)


def _device(device: Any) -> Any:
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise unknown("device", device, DEVICES) from error
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}.get(chosen.type, lambda: True)
    if not there():
        raise InputError(f"This machine has no {chosen.type} device that torch {torch.__version__} can use; use cpu.")
    return chosen


def _need_gguf() -> None:
    if importlib.util.find_spec("gguf") is None or importlib.util.find_spec("accelerate") is None:
        raise MissingExtraError("gguf and accelerate", "gguf")


def _first_line(error: Exception) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if line.endswith((".", "!", "?")) else f"{line}."
