"""Network and tokenizer from a checkpoint's files; what transformers raises becomes a sentence of ours."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from layerscope.errors import CheckpointError, LayerscopeError, UntrustedError, missing
from layerscope.loading.fit import Fit, fit
from layerscope.loading.gguf import check_gguf, is_gguf
from layerscope.loading.heads import architecture, left_out, network_class, renamed
from layerscope.loading.modality import refuse_other_modalities
from layerscope.loading.weights import tensor_names
from layerscope.source import Source


def load_network(source: Source, task: str | None, dtype: Any, trusted: bool, options: dict[str, Any]) -> Fit:
    """The network as its checkpoint has it: with its language-model head, with the task's head, or bare.

    Args:
        source: where the files are.
        task: a name in `heads.TASKS`, or None.
        dtype: a torch dtype, or "auto".
        trusted: whether code that comes with the checkpoint may be run.
        options: further keywords of from_pretrained; those that are values of the configuration override it.

    Raises:
        CheckpointError: it cannot be loaded, or its weights do not fit.
        UntrustedError: its code would have to be run.
        ModelError: it reads no text.
    """
    gguf = _gguf(source)
    if "device_map" in options and importlib.util.find_spec("accelerate") is None:
        raise missing("accelerate")
    tensors = frozenset[str]() if gguf else tensor_names(source.name, source.weights)
    config, unused = _configuration(source, trusted, options)
    remote = trusted and any(name.startswith("AutoModel") for name in getattr(config, "auto_map", None) or ())
    with _sentences(source, "could not be loaded"):
        network = architecture(config, task, tensors, remote)
        if not remote and hasattr(network_class(network, config), "forward"):
            refuse_other_modalities(network_class(network, config), source.name)
        if task is not None and not remote:
            unused = {"key_mapping": renamed(network, config), **unused}
        hf, info = network.from_pretrained(
            source.folder,
            config=config,
            dtype=dtype,
            trust_remote_code=trusted,
            use_safetensors=source.weights[0].suffix == ".safetensors",
            output_loading_info=True,
            **gguf,
            **(unused | {"ignore_mismatched_sizes": True}),
        )
    fitted = fit(
        source.name,
        hf,
        info,
        tensors,
        has_task=task is not None,
        other_sizes=options.get("ignore_mismatched_sizes", False),
        other_depth=any("layer" in name for name in options),
    )
    return replace(fitted, left_out=None if task is not None or remote else left_out(config, network))


def load_tokenizer(source: Source, trusted: bool) -> Any:
    """The tokenizer beside the network.

    Raises:
        CheckpointError: there is none, or it cannot be loaded.
        UntrustedError: its code would have to be run.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source.folder, trust_remote_code=trusted, **_gguf(source))
        if len(tokenizer) > len(tokenizer.all_special_ids):
            return tokenizer
        raise LookupError("the tokenizer has no vocabulary")  # this is what transformers makes out of nothing
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in the tokenizers' Rust is no Exception
        raise _tokenizer_error(source, trusted, error) from error


def _tokenizer_error(source: Source, trusted: bool, error: BaseException) -> CheckpointError:
    assert source.folder is not None
    elsewhere = "If it is elsewhere, load both with transformers and give them to wrap()."
    settings = source.folder / "tokenizer_config.json"
    if (
        not trusted
        and settings.is_file()
        and '"AutoTokenizer"' in settings.read_text(encoding="utf-8", errors="replace")
    ):
        return UntrustedError(_foreign_code(source, "tokenizer"))
    if not _gguf(source) and not any(list(source.folder.glob(pattern)) for pattern in _VOCABULARIES):
        return CheckpointError(
            f"{source.name} has no tokenizer: no tokenizer.json or other vocabulary is there. {elsewhere}"
        )
    return CheckpointError(
        f"The tokenizer of {source.name} could not be loaded: {_reason(error)} {elsewhere}"
    )


# The files of which a tokenizer needs one.
_VOCABULARIES = ("tokenizer.json", "vocab*", "*.model", "*.tiktoken")


def _configuration(source: Source, trusted: bool, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The configuration, overridden by what `options` say of it, and the options that are no part of it."""
    from transformers import AutoConfig

    gguf = _gguf(source)
    if not gguf:
        _refuse_family(source, trusted)
    apart = {name: options[name] for name in ("quantization_config",) if name in options}
    values = {name: value for name, value in options.items() if name not in apart}
    with _sentences(source, "has a configuration that cannot be used"):
        try:
            config, unused = AutoConfig.from_pretrained(
                source.folder, return_unused_kwargs=True, trust_remote_code=trusted, **gguf, **values
            )
        except Exception:
            if gguf:
                check_gguf(source.weights[0])  # most often it is the file
            raise
    named = getattr(config, "transformers_weights", None)
    if named is not None and named not in [path.name for path in source.weights]:
        raise CheckpointError(
            f"The config.json of {source.name} says that its weights are in {named}; they are only read from "
            "files that are named model.safetensors, or model-…-of-….safetensors."
        )
    return config, {name: value for name, value in unused.items() if name in options} | apart


def _refuse_family(source: Source, trusted: bool) -> None:
    """Raise if transformers does not know the model's family, unless code for it is there and trusted."""
    from transformers import CONFIG_MAPPING

    assert source.folder is not None
    try:
        config = json.loads((source.folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"The config.json of {source.name} cannot be read: {_reason(error)}") from error
    if not isinstance(config, dict):
        raise CheckpointError(
            f"The config.json of {source.name} holds a {type(config).__name__}, not an object."
        )
    family = config.get("model_type")
    if isinstance(family, str) and family in CONFIG_MAPPING:
        return
    if not config.get("auto_map"):
        raise CheckpointError(
            f"The config.json of {source.name} names no family that this version of transformers knows: "
            f"model_type is {family!r}."
        )
    if not trusted:
        raise UntrustedError(_foreign_code(source, "network"))


def _foreign_code(source: Source, what: str) -> str:
    return (
        f"{source.name} brings its own code for its {what}, which would be run here. If you have read and "
        "trust it, load it with trust_remote_code=True (--trust-remote-code)."
    )


def _gguf(source: Source) -> dict[str, str]:
    """What tells transformers to read a GGUF file: its whole path, lest it take another of the same name."""
    files = [str(path) for path in source.weights if is_gguf(path)]
    return {"gguf_file": files[0]} if files else {}


@contextmanager
def _sentences(source: Source, what: str) -> Iterator[None]:
    """Turn any error that is not ours into a `CheckpointError` of one sentence."""
    try:
        yield
    except LayerscopeError:
        raise
    except Exception as error:
        raise CheckpointError(f"{source.name} {what}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """The first line of what another library said, without its links."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    end = next((index for index, line in enumerate(lines) if not line.endswith(":")), len(lines) - 1)
    sentences = re.split(r"(?<=[.!?]) (?=[A-Z])", " ".join(lines[: end + 1]))
    text = " ".join(sentence for sentence in sentences if "https://" not in sentence)
    if not text or isinstance(error, LookupError):
        text = f"{type(error).__name__} {text}".strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
