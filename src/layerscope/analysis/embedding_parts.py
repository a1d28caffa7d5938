"""The input embedding in its parts: word, position, segment, their sum, and what the first block receives."""

from __future__ import annotations

import itertools
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
from layerscope.result import Result
from layerscope.shown import counted, last_part
from layerscope.text.tokens import Tokens

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from layerscope.model import Model

# The most that a sum may differ from the model's own, relative to its largest value: in float32, and in less.
_TOLERANCE = 1e-5
_TOLERANCE_HALF = 2e-2


@dataclass(frozen=True, eq=False, repr=False)
class EmbeddingParts(Result):
    """The embedding of T tokens, part by part; E is the width of the embedding matrices.

    Attributes:
        model: the model's name.
        tokens: the T tokens.
        parts: [token, E] for each table that is looked up, as it comes out of it (scaled, with adapters): "word",
            and where the model has them "position" and "segment".
        sum: [token, E], the parts added up here.
        after: what the model then does, module by module, in order: its norm, its projection; the last is
            [token, hidden].
        output: [token, hidden], the model's own layer 0.
        difference: the largest difference between what follows from the parts and the model's own.
    """

    model: str
    tokens: Tokens
    parts: Mapping[str, Array]
    sum: Array
    after: Mapping[str, Array]
    output: Array
    difference: float

    def table(self) -> pd.DataFrame:
        """The length (Euclidean norm) of each token's vector in every part, in the sum and in layer 0."""
        import pandas as pd

        lengths = {name: np.linalg.norm(vectors, axis=1) for name, vectors in self.arrays.items()}
        return pd.DataFrame(lengths, index=pd.Index(self.tokens.strings, name="token"))

    @property
    def arrays(self) -> dict[str, Array]:
        """Every step by its name, [token, width]: the parts, "sum", what the model then does, and "layer 0"."""
        return {**self.parts, "sum": self.sum, **self.after, "layer 0": self.output}

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values: the vectors of each step by its name."""
        return {
            "model": self.model,
            "text": self.tokens.text,
            "tokens": list(self.tokens.strings),
            "difference": self.difference,
            "steps": {name: vectors.tolist() for name, vectors in self.arrays.items()},
        }

    @checked
    def plot(self, ax: Axes | None = None) -> Axes:
        """The length of each token's vector in every step, as a heat map with its numbers."""
        from layerscope.plots.heat import heat

        table = self.table()
        title = f"{last_part(self.model)}: the embedding, part by part"
        return heat(table, title, ax, 0.0, float(table.to_numpy().max()), "length of the vector")

    def _holds(self) -> str:
        return f"{counted(len(self.tokens), 'token')} of {last_part(self.model)}: {' + '.join(self.parts)} = layer 0"

    _calls = ".arrays, .table(), .plot()"


@checked
def embedding_parts(model: Model, text: str, pair: str | None = None) -> EmbeddingParts:
    """The parts of the input embedding, their sum, and the layer 0 that follows from it.

    The sum is made here from the looked-up rows, put through the model's own norm and projection, and
    compared with the model's own layer 0.

    Raises:
        ModelError: what follows from the parts is not the model's layer 0: its embedding has a part that
            is not known here, or something is put before the text (prompt tuning), so nothing is shown.

    >>> import layerscope as ls
    >>> parts = ls.embedding_parts(ls.load(), "I am Mehdi")
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
            f"The text has {len(tokens)} tokens; embedding_parts shows at most {model.context_window}, one window."
        )
    looked_up, modules = _watched(model, tokens)
    parts = {name: value for name, value in looked_up.items() if name != "layer 0"}
    output = looked_up.get("layer 0")
    if output is None or "word" not in parts:
        raise ModelError(
            f"{model.name} looks no token up in a table on the way to its layer 0 that could be shown."
        )
    if len({value.shape for value in parts.values()}) > 1:
        widths = ", ".join(f"{name} {value.shape[-1]}" for name, value in parts.items())
        raise ModelError(
            f"The parts of {model.name}'s embedding are of different widths ({widths}): they are no sum."
        )
    with model.lock, evaluation(model.hf):
        total = torch.stack(list(parts.values())).sum(dim=0)
        after = _put_through(model, total, modules)
    value = list(after.values())[-1] if after else total
    check_finite(as_array(output), (f"Layer 0 of token {brief(string)}" for string in tokens.strings))
    difference = _difference(model, parts, value, output)
    return EmbeddingParts(
        model=model.name,
        tokens=tokens,
        parts={name: as_array(value) for name, value in parts.items()},
        sum=as_array(total),
        after={name: as_array(value) for name, value in after.items()},
        output=as_array(output),
        difference=difference,
    )


def _put_through(
    model: Model, value: torch.Tensor, modules: Mapping[str, torch.nn.Module]
) -> dict[str, torch.Tensor]:
    """What the model's norm and projection make of the sum, one after the other."""
    after = {}
    for name, module in modules.items():
        try:
            value = module(value)
        except Exception as error:
            raise ModelError(
                f"The parts of {model.name}'s embedding cannot be put together here: its {name} does not take their "
                "sum."
            ) from error
        after[name] = value
    return after


def _difference(
    model: Model, parts: Mapping[str, torch.Tensor], value: torch.Tensor, output: torch.Tensor
) -> float:
    """How far what follows from the parts is from layer 0.

    Raises:
        ModelError: too far.
    """
    if value.shape != output.shape:
        raise ModelError(
            f"Layer 0 of {model.name} has {len(output)} vectors, {output.shape[-1]} wide, where its embedding of this "
            f"text gives {len(value)}, {value.shape[-1]} wide: something is put before the text (prompt tuning) or "
            "done to it that is not known here."
        )
    difference = float((value - output).abs().max())
    tolerance = _TOLERANCE if output.dtype == torch.float32 else _TOLERANCE_HALF
    if not difference <= tolerance * max(1.0, float(output.abs().max())):
        raise ModelError(
            f"The parts of {model.name}'s embedding ({', '.join(parts)}) do not add up to its layer 0: they differ by "
            f"{difference:.2g}. Its embedding computes something that is not known here."
        )
    return difference


def _watched(model: Model, tokens: Tokens) -> tuple[dict[str, torch.Tensor], dict[str, torch.nn.Module]]:
    """What the model looks up before layer 0 is complete, and the modules that it then puts the sum through."""
    site = model.sites()["hidden_states", 0]
    tables = _tables(model)
    looked_up: dict[str, torch.Tensor] = {}
    modules: dict[str, torch.nn.Module] = {}

    def see(name: str, call: int, side: Side, value: Any) -> None:
        module = model.hf.get_submodule(name)
        found = dict(tensors(value))
        if side == "out" and name in tables:
            vectors = next(iter(found.values()))
            if vectors.shape[-2] in (1, len(tokens)):  # others are not of the text
                looked_up[_new(tables[name], looked_up)] = vectors.expand(1, len(tokens), -1)[0]
        elif side == "out" and _is_step(module) and looked_up:
            modules[name.rpartition(".")[2]] = module
        if (name, call, side) == (site.module, site.call, site.side):
            looked_up["layer 0"] = site.of(found[site.path])[0]
            if any(name.startswith(f"{table}.") for table, part in tables.items() if part == "word"):
                looked_up["word"] = looked_up["layer 0"]  # the rest of the table only hands it on

    with model.lock, evaluation(model.hf):
        ask = {"output_hidden_states": True} if site.is_reported else {}
        observe(model.hf, inputs_of(model, tokens) | ask, see, until=site)
    return looked_up, modules


def _tables(model: Model) -> dict[str, str]:
    """The modules that look something up, by name, and which part of the embedding each gives; the outermost ones."""
    word = model.hf.get_input_embeddings()
    found: dict[str, str] = {}
    for name, module in model.hf.named_modules():
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if not inside and (module is word or _is_table(module)):
            is_word = module is word or module.weight is getattr(word, "weight", None)
            found[name] = "word" if is_word else _part(name)
    return found


def _is_table(module: Any) -> bool:
    """Whether a module looks vectors up: an embedding, or one that adapters were put around."""
    kind = torch.nn.Embedding
    return isinstance(module, kind) or isinstance(getattr(module, "base_layer", None), kind)


def _new(part: str, known: Mapping[str, torch.Tensor]) -> str:
    """What a part is called, also where one table is looked up more than once (GPT-2's, for its token types)."""
    number = next(number for number in itertools.count(1) if _numbered(part, number) not in known)
    return _numbered(part, number)


def _numbered(part: str, number: int) -> str:
    return part if number == 1 else f"{part} {number}"


def _part(name: str) -> str:
    last = name.rpartition(".")[2].lower()
    if "type" in last or "segment" in last:
        return "segment"
    return "position" if "pos" in last or last == "wpe" else last


def _is_step(module: torch.nn.Module) -> bool:
    """Whether a module that was passed on the way to layer 0 changes the sum: a norm or a projection."""
    is_leaf = not any(True for _ in module.children())
    return is_leaf and (isinstance(module, torch.nn.Linear) or "norm" in type(module).__name__.lower())
