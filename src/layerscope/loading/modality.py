"""Whether a network reads text: some take images, sound or measurements, or do nothing without them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from layerscope.errors import ModelError
from layerscope.network.capture import evaluation
from layerscope.network.inputs import inputs_of
from layerscope.quiet import quiet

if TYPE_CHECKING:
    from layerscope.model import Model

_TEXT = "input_ids"

# A text for the trial: a letter is more than no token in every vocabulary.
_SHORT = "a"


def refuse_other_modalities(network: type, name: str) -> None:
    """Raise if a network's class, by the inputs that its forward names, has none for the ids of tokens.

    Raises:
        ModelError: it takes other things, and no text.
    """
    inputs = _inputs(network)
    if (inputs and _TEXT not in inputs) or _ids_are_no_text(network, inputs):
        raise ModelError(
            f"{name} reads no text: {network.__name__} takes {_taken(network, inputs)}.{_decoder(inputs)}"
        )


def refuse_without_text(model: Model) -> None:
    """Raise if a network does not pass for a text alone: tried on one letter, where its class leaves it open.

    Raises:
        ModelError: it takes other things, or needs them too.
    """
    hf = getattr(model.hf, "_orig_mod", model.hf)  # of torch.compile
    hf = hf.get_base_model() if hasattr(hf, "get_base_model") else hf  # of PEFT
    network = type(hf)
    refuse_other_modalities(network, model.name)
    if not _is_open(network) or any(one.is_meta for one in hf.parameters()):
        return
    try:
        with quiet(), model.lock, evaluation(model.hf):
            model.hf(**inputs_of(model, model.tokenize(_SHORT)))
    except Exception as error:
        if not _is_for_want(error, network):
            return  # said where a text is run
        raise ModelError(
            f"{model.name} does not read a text by itself: {network.__name__} {_what(network)}"
            f"{_said(error)}.{_part(hf)}"
        ) from error


def _inputs(network: type) -> dict[str, inspect.Parameter]:
    """What a network's forward names; none for a wrapper that hands on whatever it is given."""
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = inspect.signature(network.forward).parameters  # type: ignore[attr-defined]
    return {name: one for name, one in named.items() if name != "self" and one.kind not in open_ended}


def _modalities(network: type) -> frozenset[str]:
    """What a class says that it takes: "text", "image", "video", "audio", "time"."""
    said = getattr(network, "input_modalities", "text")
    return frozenset([said] if isinstance(said, str) else said)


def _ids_are_no_text(network: type, inputs: dict[str, inspect.Parameter]) -> bool:
    """Whether ids stand for something else (ImageGPT's for colours), there being nothing else that holds it.

    (Of networks of speech, whose decoders say "audio" too, they are the text that was spoken.)
    """
    is_other = not _modalities(network) & {"text", "audio"}
    return is_other and _TEXT in inputs and not _OTHERS.intersection(inputs)


def _is_open(network: type) -> bool:
    """Whether a class takes other things beside text, or hands on whatever it is given."""
    return not _inputs(network) or bool(_others(network)) or _modalities(network) != {"text"}


def _is_needed(name: str, one: inspect.Parameter) -> bool:
    return name != _TEXT and one.default is one.empty


# What forwards call the inputs that are no text.
_OTHERS = frozenset(
    {
        "audio_values",
        "bbox",
        "image",
        "image_features",
        "input_features",
        "input_values",
        "inputs",
        "pixel_values",
        "pixel_values_videos",
        "visual_embeds",
        "visual_feats",
    }
)


def _taken(network: type, inputs: dict[str, inspect.Parameter]) -> str:
    """The inputs that a network is made for, as its class names them."""
    main: Any = getattr(network, "main_input_name", None)
    mains = [main] if isinstance(main, str) else list(main or ())
    needed = [name for name, one in inputs.items() if _is_needed(name, one)]
    if _TEXT in inputs:
        return f"{_TEXT} that stand for {' and '.join(sorted(_modalities(network)))}"
    return ", ".join([name for name in mains if name in inputs] or needed or list(inputs)[:1])


def _what(network: type) -> str:
    """What a network does with more than text, in words."""
    others = ", ".join(_others(network)) or " and ".join(sorted(_modalities(network) - {"text"}))
    return f"takes {others} with it" if others else "is passed part by part"


def _is_for_want(error: Exception, network: type) -> bool:
    """Whether what a network raised is for want of an input that it was not given, rather than anything else."""
    message = str(error)
    if not _inputs(network):
        return isinstance(error, TypeError | NotImplementedError)
    if isinstance(error, ValueError):
        return any(name in message for name in _others(network))
    if isinstance(error, TypeError | AttributeError):
        return "NoneType" in message or "missing" in message
    return isinstance(error, NotImplementedError | UnboundLocalError)


def _others(network: type) -> list[str]:
    return [name for name, one in _inputs(network).items() if name in _OTHERS or _is_needed(name, one)]


def _said(error: Exception) -> str:
    """What the network said when it was given a text alone, its first line."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f" (it says: {first.rstrip('.')})" if isinstance(error, ValueError) and first else ""


def _decoder(inputs: dict[str, inspect.Parameter]) -> str:
    if "decoder_input_ids" not in inputs:
        return ""
    return (
        " Only its decoder reads text: load the network with transformers, and give wrap() its get_decoder()."
    )


def _part(hf: Any) -> str:
    """Which of its parts reads text by itself, if one does."""
    found = next(_readers(hf), None)
    if found is None:
        return ""
    name, module = found
    return f" Its part {name} ({type(module).__name__}) does: load the network with transformers, and give wrap() that."


def _readers(hf: Any) -> Iterator[tuple[str, Any]]:
    for name, module in hf.named_modules():
        is_network = hasattr(module, "config") and hasattr(module, "get_input_embeddings")
        if name and is_network and _TEXT in _inputs(type(module)) and not _is_open(type(module)):
            yield name, module
