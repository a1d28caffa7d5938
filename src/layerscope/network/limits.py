"""How many tokens a network reads at once."""

from __future__ import annotations

from typing import Any

# Tokenizers that know no limit report this or more.
_NO_LIMIT = 10**9

# What families call their table of learned positions.
_TABLES = frozenset({"position_embeddings", "embed_positions", "wpe", "position_embedding"})

# Where the configuration says it, for families that compute their positions (rotary ones).
_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")

# Relative positions only: what their configurations say is the length they were trained on, which is no limit.
_UNLIMITED = frozenset({"t5", "mt5", "umt5", "longt5", "bloom", "mpt", "xlnet"})


def context_window(hf: Any, tokenizer: Any) -> int | None:
    """The most tokens that a network reads at once, special ones included; None where there is no limit.

    The smaller of what the tokenizer says and what the network has positions for.
    """
    limits = [tokenizer.model_max_length, _positions(hf)]
    return min((int(limit) for limit in limits if limit is not None and limit < _NO_LIMIT), default=None)


def _positions(hf: Any) -> int | None:
    for name, module in hf.named_modules():
        if name.rpartition(".")[2] in _TABLES and hasattr(module, "num_embeddings"):
            padding = getattr(module, "padding_idx", None)
            # The first rows of some tables belong to no position: OPT and BART say how many, RoBERTa by its padding.
            unused = getattr(module, "offset", 0 if padding is None else padding + 1)
            return int(module.num_embeddings) - int(unused)
    config = hf.config.get_text_config()
    if config.model_type in _UNLIMITED:
        return None
    return next((int(value) for key in _KEYS if (value := getattr(config, key, None))), None)
