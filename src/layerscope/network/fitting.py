"""Whether the tokens of a text can be run: they fit the context window, and each has a row in the embedding matrix."""

from __future__ import annotations

import numpy as np

from layerscope.errors import InputError
from layerscope.network.network import Network
from layerscope.network.windows import fit
from layerscope.text.tokens import Tokens


def fitted(model: Network, tokens: Tokens, long: str) -> Tokens:
    """The tokens of a text that will be run: see `windows.fit`.

    Raises:
        InputError: they do not fit, or have an id that the network has no row for.
    """
    check_rows(model, tokens, model.num_rows)
    return fit(tokens, model.context_window, long)


def fitted_target(model: Network, target: Tokens, long: str) -> Tokens:
    """What a decoder will read of a target, which cannot pass in windows; see `fitted`."""
    check_rows(model, target, model.num_decoder_rows)
    return fit(target, model.target_window, "cut" if long == "cut" else "error", "target")


def check_rows(model: Network, tokens: Tokens, rows: int | None) -> None:
    """Raise an `InputError` if a token has no row in the embedding matrix, as one added to the tokenizer may have."""
    if rows is not None and len(tokens) and tokens.ids.max() >= rows:
        place = int(np.argmax(tokens.ids >= rows))
        raise InputError(
            f"The token {tokens.strings[place]!r} has the id {tokens.ids[place]}, and the embedding matrix of "
            f"{model.name} has the rows 0 to {rows - 1}: the token was added to the tokenizer, and the model "
            "not resized (resize_token_embeddings). Leave the token out."
        )
