"""A feature as a sentence-transformers folder: the network cut behind the last layer that it needs, and its pooling."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save_file

from layerscope import samples
from layerscope.arguments import checked
from layerscope.errors import InputError, ModelError, brief
from layerscope.network.capture import evaluation
from layerscope.network.inputs import inputs_of
from layerscope.probing.modules import MODES, behind, pooling
from layerscope.quiet import quiet
from layerscope.reduce.feature import Feature
from layerscope.reduce.pooling import Array

if TYPE_CHECKING:
    from layerscope.model import Model

# Where sentence-transformers finds its modules, in all of its versions.
_MODULES = "sentence_transformers.models"

# The most that the states of the cut network may differ from the model's own, relative to their largest value.
_TOLERANCE = 1e-5


def is_exportable(feature: Feature) -> bool:
    """Whether sentence-transformers has modules for a feature.

    For a pooling of one layer it has. Layers are put together side by side, added up or averaged, but no module takes
    the larger of two numbers, and none keeps [CLS] of one layer while it reads that of the next.
    """
    if feature.pooling not in MODES or feature.combine == "max":
        return False
    return feature.combine in (None, "mean") or feature.pooling != "cls"


@checked
def export(model: Model, out: str | Path, feature: str | Feature = "mean@-1") -> Path:
    """Write a folder that plain sentence-transformers loads, and that gives the same vectors as the feature here.

    It holds only the blocks that the feature needs, which is proven on a sentence before the folder is there. Several
    layers put together need sentence-transformers 5 or later. Texts longer than the context window it cuts, where
    `extract` reads them in windows.

    Args:
        model: an encoder or decoder.
        out: a folder that is not there yet, or is empty.
        feature: one that gives a single vector.

    Returns:
        the folder.

    Raises:
        InputError: sentence-transformers has no modules for the feature, or the folder has files in it.
        ModelError: the network cannot be cut so that its states stay the same.
    """
    feature = feature if isinstance(feature, Feature) else Feature.parse(feature)
    layers = feature.resolve(model.num_layers)
    if not is_exportable(feature) or (feature.combine is None and len(layers) > 1):
        raise InputError(f"sentence-transformers has no modules that give {feature}.")
    if model.kind == "encoder-decoder":
        raise InputError(f"{model.name} is an encoder-decoder; encoders and decoders can be exported.")
    out = check_new(out)
    try:
        place = out.resolve()  # of a link, where it leads
        place.parent.mkdir(parents=True, exist_ok=True)
        made = Path(mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{out} cannot be written: {getattr(error, 'strerror', None) or error}.") from error
    try:
        _write(model, made, feature, layers)
        made.chmod(0o755)
        if place.exists():
            place.rmdir()
        made.rename(place)
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return out


def check_new(out: str | Path) -> Path:
    """The path of a folder that is to be written, with `~` for the user's own.

    Raises:
        InputError: no path, or something is there already.
    """
    if not isinstance(out, str | Path) or not str(out).strip():
        raise InputError(f"out is the folder to write; not {brief(out)}.")
    out = Path(os.path.expanduser(out))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is there already; name a new folder.")
    return out


def _write(model: Model, folder: Path, feature: Feature, layers: tuple[int, ...]) -> None:
    network, blocks = _cut(model, layers)
    is_last_alone = layers == (blocks,)
    network.config.output_hidden_states = not is_last_alone
    with quiet():
        network.save_pretrained(folder)
        _padding(model.tokenizer).save_pretrained(folder)
    _json(
        folder / "sentence_bert_config.json",
        {"max_seq_length": model.context_window, "do_lower_case": False},
    )
    listed = [{"idx": 0, "name": "0", "path": "", "type": f"{_MODULES}.Transformer"}]
    modules = [pooling(feature.pooling, model.hidden_size)]
    if not is_last_alone:
        modules = behind(feature, layers, blocks, model.hidden_size)
    for number, one in enumerate(modules, start=1):
        path = f"{number}_{one.kind}"
        listed.append({"idx": number, "name": str(number), "path": path, "type": f"{_MODULES}.{one.kind}"})
        _json(folder / path / "config.json", one.config)
        if one.weights:
            save_file(one.weights, folder / path / "model.safetensors")
    _json(folder / "modules.json", listed)


def _padding(tokenizer: Any) -> Any:
    """A tokenizer that can pad, behind the text: what it pads with is masked, and positions count from the text."""
    copied = copy.deepcopy(tokenizer)
    copied.padding_side = "right"
    if copied.pad_token is None:
        copied.pad_token = copied.eos_token or copied.unk_token or copied.convert_ids_to_tokens(0)
    return copied


def _cut(model: Model, layers: tuple[int, ...]) -> tuple[Any, int]:
    """The network without its head and without the blocks that the layers do not need, and how many it has left.

    A final norm would follow the last block that is left. Where the model has one, one block more is kept, so that
    the layer is found before the norm, as it is here; and one for layer 0, since not every family runs without any.
    """
    deepest = max(layers)
    for blocks in sorted({max(deepest, 1), min(deepest + 1, model.num_layers)}):
        network = _with_blocks(model, blocks)
        if network is not None and _agrees(model, network, layers, blocks):
            return network, blocks
    raise ModelError(
        f"{model.name} cannot be cut behind layer {deepest} so that its states stay the same; nothing was written."
    )


def _with_blocks(model: Model, blocks: int) -> Any:
    """The bare network with its first blocks alone, the weights shared; None if it cannot be built."""
    base = model.hf.base_model
    config = copy.deepcopy(base.config)
    lists = {name: value for name, value in config.to_dict().items() if _is_by_layer(value, model.num_layers)}
    config.num_hidden_layers = blocks
    for name, value in lists.items():
        setattr(config, name, value[:blocks])
    has_pooler = {} if getattr(base, "pooler", True) is not None else {"add_pooling_layer": False}
    with quiet(), torch.random.fork_rng(devices=[]):
        try:
            network = type(base)(config, **has_pooler).to(base.dtype)
        except (ValueError, IndexError, TypeError, AttributeError):
            return None
    weights = base.state_dict()
    if not network.state_dict().keys() <= _without_blocks(model, weights, blocks):
        return None
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    return network.eval()


def _without_blocks(model: Model, names: Iterable[str], blocks: int) -> set[str]:
    """The names of a network's parameters without those of the blocks behind the first ones."""
    modules = [block.module for block in model.blocks() if block is not None]
    prefix = next(name for name, module in model.hf.named_modules() if module is model.hf.base_model)
    left = {one.removeprefix(f"{prefix}.") for one in modules[:blocks]}
    later = {one.removeprefix(f"{prefix}.") for one in modules[blocks:]} - left
    return {name for name in names if not any(name.startswith(f"{one}.") for one in later)}


def _is_by_layer(value: Any, num_layers: int) -> bool:
    """Whether a value of a configuration says something of each layer."""
    return isinstance(value, list) and len(value) == num_layers


def _agrees(model: Model, network: Any, layers: tuple[int, ...], blocks: int) -> bool:
    """Whether the states of these layers are those that the model gives, where sentence-transformers looks for them."""
    tokens = model.tokenize(samples.texts()[0])
    inputs = {name: value.cpu() for name, value in inputs_of(model, tokens).items() if hasattr(value, "cpu")}
    trace = model.run(tokens, layers=list(layers))
    with evaluation(network):
        if layers == (blocks,):
            return _is_close(network(**inputs).last_hidden_state, trace.hidden_state(blocks))
        states = network(**inputs, output_hidden_states=True).hidden_states
    return len(states) == blocks + 1 and all(
        _is_close(states[layer], trace.hidden_state(layer)) for layer in layers
    )


def _is_close(found: torch.Tensor, expected: Array) -> bool:
    difference = np.abs(found[0].float().numpy() - expected).max()
    return bool(difference <= _TOLERANCE * max(1.0, float(np.abs(expected).max())))


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
