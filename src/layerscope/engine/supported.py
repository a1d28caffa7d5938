"""Which features a model can give: asked before anyone waits for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from layerscope.errors import InputError
from layerscope.reduce.feature import Feature
from layerscope.reduce.pooling import POOLER, pool
from layerscope.run import run_many
from layerscope.text.encode import encode

if TYPE_CHECKING:
    from layerscope.network.network import Network


def check_features(model: Network, features: Sequence[Feature]) -> None:
    """Raise unless the model and its tokenizer can give all of them, before anyone waits for it.

    Raises:
        InputError: no feature, a layer that the model does not have, the same column twice.
        ModelError: "cls" without a classification token, "pooler" without a trained pooler.
    """
    if not features:
        raise InputError("Name at least one feature, such as mean@-1.")
    names = [name for feature in features for name in feature.columns(model.num_layers)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"The features give the column {twice[0]} twice; name each layer once.")
    asked = {feature.pooling for feature in features}
    if POOLER in asked and (model.untrained_pooler or ("pooler_output", 0) not in model.sites()):
        run_many(model, ["a"])[0].pool(POOLER)  # says why there is none
    if "cls" in asked:
        tokens = next(iter(encode(model.vocabulary, ["a"])))
        pool("cls", np.zeros((len(tokens), 1), dtype=np.float32), tokens)
