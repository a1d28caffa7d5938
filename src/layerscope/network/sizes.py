"""How large a network is, whatever its configuration calls that."""

from __future__ import annotations

from typing import Any

import torch

from layerscope.errors import ModelError

# What configurations call the number of blocks, the heads of queries and the width of the hidden states; the
# first is transformers' own, which most families map theirs to, the others are those of code on the Hub.
_BLOCKS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "num_transformer_layers")
_HEADS = ("num_attention_heads", "num_query_heads", "n_head", "n_heads")
_WIDTHS = ("hidden_size", "d_model", "n_embd", "model_dim", "dim")
_DECODER_BLOCKS = ("num_decoder_layers", "decoder_layers")


def text_config(config: Any) -> Any:
    """The configuration of the text part; of two that there are (MusicGen's), that of the one that reads text."""
    try:
        return config.get_text_config()
    except ValueError:
        return config.get_text_config(encoder=True)


def num_blocks(hf: Any) -> int:
    """The number of blocks; of an encoder-decoder those of its encoder.

    Where the configuration does not say it, how many modules the longest list of modules holds.
    """
    said = _number(side_config(hf.config, "encoder"), _BLOCKS)
    return _longest_list(hf) if said is None else said


def num_decoder_blocks(hf: Any) -> int:
    """The number of blocks of an encoder-decoder's decoder: as many as its encoder has, unless it says otherwise."""
    has_parts = hasattr(getattr(hf.config, "decoder", None), "get_text_config")
    said = _number(side_config(hf.config, "decoder"), _BLOCKS if has_parts else _DECODER_BLOCKS)
    return num_blocks(hf) if said is None else said


def num_heads(hf: Any) -> int | None:
    """Heads of queries in each block; None where no block has attention, or where blocks have different numbers."""
    return _number(side_config(hf.config, "encoder"), _HEADS)


def width(hf: Any) -> int:
    """The width of the hidden states; where the configuration does not say it, that of the input embedding."""
    said = _number(side_config(hf.config, "encoder"), _WIDTHS)
    if said is not None:
        return said
    matrix = _matrix(hf)
    if matrix is None:
        raise ModelError(
            f"The configuration of {type(hf).__name__} does not say how wide its hidden states are."
        )
    return int(matrix.shape[-1])


def vocabulary(hf: Any) -> int | None:
    """The rows of the embedding matrix, as the configuration has it, or else as it is; None where there is none."""
    said = _number(text_config(hf.config), ("vocab_size",))
    matrix = _matrix(hf)
    return said if said is not None or matrix is None else int(matrix.shape[0])


def num_rows(hf: Any) -> int | None:
    """How many rows a network's embedding matrix has, None where it has no such matrix."""
    try:
        table = hf.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    rows = getattr(table, "num_embeddings", None)
    return rows if isinstance(rows, int) else None


def input_device(hf: Any) -> torch.device:
    """Where the ids of tokens must be."""
    matrix = _matrix(hf)
    return next(hf.parameters()).device if matrix is None else matrix.device


def _matrix(hf: Any) -> torch.Tensor | None:
    """The matrix that tokens are looked up in; some networks have none (CANINE's embeddings are hashed)."""
    try:
        matrix = hf.get_input_embeddings().weight
    except (AttributeError, NotImplementedError):
        return None
    return matrix if isinstance(matrix, torch.Tensor) else None


def side_config(config: Any, side: str) -> Any:
    """The configuration of the "encoder" or "decoder" where a network is put together of two; else of its text part."""
    part: Any = getattr(config, side, None)
    return text_config(part if hasattr(part, "get_text_config") else config)


def _number(config: Any, names: tuple[str, ...]) -> int | None:
    """The first of these that the configuration has, one number for all blocks."""
    for name in names:
        values = _values(config, name)
        if values:
            return values.pop() if len(values) == 1 else None
    return None


def _values(config: Any, name: str) -> set[int]:
    """The values of a setting: one, or where it is a list, or one of each block, those that there are."""
    try:
        value = getattr(config, name, None)
    except RuntimeError:  # transformers' word for a setting that each block has for itself
        value = [getattr(one, name, None) for one in config.per_layer_config]
    found = value if isinstance(value, list | tuple) else [value]
    return {one for one in found if isinstance(one, int) and not isinstance(one, bool)}


def _longest_list(hf: Any) -> int:
    return max((len(one) for one in hf.modules() if isinstance(one, torch.nn.ModuleList)), default=0)
