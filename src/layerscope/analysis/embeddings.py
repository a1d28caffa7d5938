"""The input embedding in its parts: word, position, segment, their sum, and what the first block receives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from layerscope.arguments import checked
from layerscope.errors import InputError, ModelError, brief
from layerscope.network.capture import Side, evaluation, observe, tensors
from layerscope.network.inputs import inputs_of
from layerscope.network.outputs import as_array
from layerscope.reduce.finite import check_finite
from layerscope.reduce.pooling import Array
from layerscope.text.tokens import Tokens

if TYPE_CHECKING:
    import pandas as pd

    from layerscope.model import Model

# The most that a sum may differ from the model's own, relative to its largest value: in float32, and in less.
_TOLERANCE = 1e-5
_TOLERANCE_HALF = 2e-2


@dataclass(frozen=True, eq=False)
class EmbeddingParts:
    """The embedding of T tokens, part by part; E is the width of the embedding matrices.

    Attributes:
        tokens: the T tokens.
        parts: [token, E] for each table that is looked up: "word", and where the model has them
            "position" and "segment".
        sum: [token, E], the parts added up here.
        after: what the model then does, module by module, in order: its norm, its projection; the last is
            [token, hidden].
        output: [token, hidden], the model's own layer 0.
        difference: the largest difference between what follows from the parts and the model's own.
    """

    tokens: Tokens
    parts: Mapping[str, Array]
    sum: Array
    after: Mapping[str, Array]
    output: Array
    difference: float

    def table(self) -> pd.DataFrame:
        """The length (Euclidean norm) of each token's vector in every part, in the sum and in layer 0."""
        import pandas as pd

        columns = {**self.parts, "sum": self.sum, **self.after, "layer 0": self.output}
        lengths = {name: np.linalg.norm(vectors, axis=1) for name, vectors in columns.items()}
        return pd.DataFrame(lengths, index=pd.Index(self.tokens.strings, name="token"))


@checked
def embeddings(model: Model, text: str, pair: str | None = None) -> EmbeddingParts:
    """The parts of the input embedding, their sum, and the layer 0 that follows from it.

    The sum is made here from the looked-up rows, put through the model's own norm and projection, and
    compared with the model's own layer 0.

    Raises:
        ModelError: what follows from the parts is not the model's layer 0: its embedding has a part that
            is not known here, so nothing is shown.

    >>> import layerscope as ls
    >>> parts = ls.embeddings(ls.load(), "I am Mehdi")
    >>> sorted(parts.parts), parts.difference < 1e-5
    (['position', 'segment', 'word'], True)
    """
    tokens = model.tokenize(text, pair)
    if not len(tokens):
        raise InputError(
            "There is no token to embed: the text is empty and this tokenizer adds no special tokens."
        )
    if model.context_window is not None and len(tokens) > model.context_window:
        raise InputError(
            f"The text has {len(tokens)} tokens; embeddings shows at most {model.context_window}, one window."
        )
    looked_up, modules = _watched(model, tokens)
    with model.lock, evaluation(model.hf):
        parts = {name: value for name, value in looked_up.items() if name != "layer 0"}
        total = torch.stack(list(parts.values())).sum(dim=0)
        after, value = {}, total
        for name, module in modules.items():
            value = module(value)
            after[name] = value
    output = looked_up["layer 0"]
    difference = float((value - output).abs().max())
    tolerance = _TOLERANCE if output.dtype == torch.float32 else _TOLERANCE_HALF
    check_finite(as_array(output), (f"Layer 0 of token {brief(string)}" for string in tokens.strings))
    if not difference <= tolerance * max(1.0, float(output.abs().max())):
        raise ModelError(
            f"The parts of {model.name}'s embedding ({', '.join(parts)}) do not add up to its layer 0: they differ by "
            f"{difference:.2g}. This family's embedding is not drawn yet."
        )
    return EmbeddingParts(
        tokens=tokens,
        parts={name: as_array(value) for name, value in parts.items()},
        sum=as_array(total),
        after={name: as_array(value) for name, value in after.items()},
        output=as_array(output),
        difference=difference,
    )


def _watched(model: Model, tokens: Tokens) -> tuple[dict[str, torch.Tensor], dict[str, torch.nn.Module]]:
    """What the model looks up before layer 0 is complete, and the modules that it then puts the sum through."""
    site = model.sites()["hidden_states", 0]
    looked_up: dict[str, torch.Tensor] = {}
    modules: dict[str, torch.nn.Module] = {}

    def see(name: str, call: int, side: Side, value: Any) -> None:
        module = model.hf.get_submodule(name)
        found = dict(tensors(value))
        if side == "out" and isinstance(module, torch.nn.Embedding):
            looked_up[_part(model, name, module)] = found[()].expand(1, len(tokens), -1)[0]
        elif side == "out" and _is_step(module) and looked_up:
            modules[name.rpartition(".")[2]] = module
        if (name, call, side) == (site.module, site.call, site.side):
            looked_up["layer 0"] = found[site.path][0]

    with model.lock, evaluation(model.hf):
        observe(model.hf, inputs_of(model, tokens), see, until=site)
    return looked_up, modules


def _part(model: Model, name: str, module: torch.nn.Embedding) -> str:
    if module.weight is model.hf.get_input_embeddings().weight:
        return "word"
    last = name.rpartition(".")[2].lower()
    if "type" in last or "segment" in last:
        return "segment"
    return "position" if "pos" in last or last == "wpe" else last


def _is_step(module: torch.nn.Module) -> bool:
    """Whether a module that was passed on the way to layer 0 changes the sum: a norm or a projection."""
    is_leaf = not any(True for _ in module.children())
    return is_leaf and (isinstance(module, torch.nn.Linear) or "norm" in type(module).__name__.lower())
