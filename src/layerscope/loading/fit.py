"""How a checkpoint's weights fit the network of its configuration: what is missing, and what is too much."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from layerscope.errors import CheckpointError
from layerscope.loading.naming import refuse_longer_names
from layerscope.network.heads import SENTENCE_HEADS


@dataclass(frozen=True)
class Fit:
    """What loading a network has to say about its weights.

    Attributes:
        hf: the network; bare if there were no weights for its language-model head.
        untrained: names of its parameters that the checkpoint has no weights for.
        new_heads: names of the modules of the task's head that were made new.
        left_out: the task of the head that the checkpoint was saved with and that was not loaded, if there is one.
    """

    hf: Any
    untrained: frozenset[str]
    new_heads: tuple[str, ...] = ()
    left_out: str | None = None


def fit(
    checkpoint: str,
    hf: Any,
    info: Mapping[str, Any],
    stored: Collection[str],
    *,
    has_task: bool,
    other_sizes: bool,
    other_depth: bool,
) -> Fit:
    """Judge what `from_pretrained` reports.

    A network with holes in it is refused. Its pooler, a head for a task, and a second head of pretraining may
    be untrained.

    Args:
        checkpoint: what errors call it.
        hf: the network as loaded.
        info: `missing_keys`, `unexpected_keys`, and `mismatched_keys` as (name, size there, size here).
        stored: the names of the checkpoint's tensors; none where they are not known.
        has_task: whether the head was asked for.
        other_sizes: whether parameters of another size are taken as missing, for a head with other classes.
        other_depth: whether there may be weights for more layers than the network has.

    Raises:
        CheckpointError: they do not fit.
    """
    _refuse_longer_names(checkpoint, hf, info["missing_keys"], stored, has_task)
    if not other_sizes:
        _refuse_other_sizes(checkpoint, hf, info["mismatched_keys"], has_task)
    untrained = frozenset(info["missing_keys"]) | {name for name, *_ in info["mismatched_keys"]}
    if not other_depth:
        _refuse_more_layers(checkpoint, hf, info["unexpected_keys"])
    new = {name for name in untrained if not _is_in_body(hf, name, has_task)}
    _refuse_holes(checkpoint, {name for name in untrained - new if "pooler" not in name})
    if has_task:
        return Fit(hf, untrained, _modules(hf, untrained))
    missing = {name for name in new if not _is_sentence_head(name)}
    if not missing:
        return Fit(hf, untrained)
    if _head_is_there(hf, missing):
        _refuse_holes(checkpoint, missing)
    return Fit(
        hf.base_model, frozenset(name.removeprefix(f"{hf.base_model_prefix}.") for name in untrained - new)
    )


def _refuse_other_sizes(checkpoint: str, hf: Any, mismatched: Collection[Any], has_task: bool) -> None:
    if mismatched:
        name, there, here = min(mismatched, key=lambda entry: str(entry[0]))
        is_head = has_task and not any(_is_in_body(hf, name, has_task) for name, *_ in mismatched)
        hint = " For a new head of that size give ignore_mismatched_sizes=True." if is_head else ""
        raise CheckpointError(
            f"The weights of {checkpoint} do not fit its configuration: {name} is {_size(there)}, and should "
            f"be {_size(here)}{_and_more(len(mismatched) - 1)}.{hint}"
        )


def _refuse_longer_names(
    checkpoint: str, hf: Any, missing: Collection[str], stored: Collection[str], has_task: bool
) -> None:
    """Raise if what is missing is there under longer names: of the body, or, with nothing but a prefix, of the head."""
    prefix = hf.base_model_prefix
    has = set(hf.state_dict())
    unused = [name for name in stored if name not in has and f"{prefix}.{name}" not in has]
    in_body = [name for name in missing if _is_in_body(hf, name, has_task)]
    for names, within in ((in_body, True), (set(missing) - set(in_body), False)):
        refuse_longer_names(checkpoint, names, unused, prefix, within=within)


def _refuse_holes(checkpoint: str, missing: Collection[str]) -> None:
    if missing:
        raise CheckpointError(
            f"The weights of {checkpoint} do not fit its configuration: {min(missing)} is missing"
            f"{_and_more(len(missing) - 1)}."
        )


def _refuse_more_layers(checkpoint: str, hf: Any, unexpected: Collection[str]) -> None:
    """Raise if a tensor without a place is like one with a place, but of a layer that the network has not."""
    inside = f"{hf.base_model_prefix}."
    known = {name.removeprefix(inside) for name in hf.state_dict()}
    layers = {match[0] for name in known if (match := _FIRST_LAYER.match(name))}
    shapes = {_NUMBER.sub(".#", name) for name in known}
    extra = [
        name
        for name in sorted(unexpected)
        if (match := _FIRST_LAYER.match(name.removeprefix(inside)))
        and match[0] not in layers
        and _NUMBER.sub(".#", name.removeprefix(inside)) in shapes
    ]
    if extra:
        raise CheckpointError(
            f"The weights of {checkpoint} do not fit its configuration: they hold more layers than it says, "
            f"with {extra[0]}{_and_more(len(extra) - 1)}."
        )


_NUMBER = re.compile(r"\.\d+(?=\.)")
_FIRST_LAYER = re.compile(r".*?\.\d+\.")


def _is_in_body(hf: Any, name: str, has_task: bool) -> bool:
    """Whether a parameter is of the network that the head stands on."""
    if hf.base_model is not hf:
        return name.startswith(f"{hf.base_model_prefix}.")
    top = getattr(hf, name.partition(".")[0])
    return not has_task or hasattr(top, "base_model_prefix") or top is hf.get_input_embeddings()


def _is_sentence_head(name: str) -> bool:
    return any(head in name for head in SENTENCE_HEADS)


def _head_is_there(hf: Any, missing: Collection[str]) -> bool:
    """Whether the language-model head has a parameter from the checkpoint that is not the body's too."""
    parameters = dict(hf.named_parameters(remove_duplicate=False))
    other = {id(it) for name, it in parameters.items() if _is_in_body(hf, name, False) or name in missing}
    return any(id(it) not in other and not _is_sentence_head(name) for name, it in parameters.items())


def _modules(hf: Any, untrained: Collection[str]) -> tuple[str, ...]:
    """The outermost modules all of whose parameters are untrained."""
    trained = [name for name in hf.state_dict() if name not in untrained]
    outermost = set()
    for name in untrained:
        parts = name.split(".")
        prefixes = (".".join(parts[:end]) for end in range(1, len(parts)))
        outermost.add(next((at for at in prefixes if not any(x.startswith(f"{at}.") for x in trained)), name))
    return tuple(sorted(outermost))


def _size(shape: Collection[int]) -> str:
    return "×".join(map(str, shape))


def _and_more(count: int) -> str:
    return f" (and {count:,} more like it)" if count else ""
