"""What kinds of block there are, what a block showed while a text passed through it, and the weights that it has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from layerscope.algebra import ACTIVATIONS, Linear, layer_norm, rms_norm
from layerscope.analysis.blocks.step import Steps
from layerscope.errors import ModelError
from layerscope.network.capture import Side, tensors
from layerscope.network.outputs import as_array
from layerscope.reduce.pooling import Array

# Additive masks hold 0 where a query may look, and where it may not the least number that there is.
_HIDDEN = -1e4

# Where configurations name the activation function.
_ACTIVATION_NAMES = ("hidden_act", "activation_function", "activation")


@dataclass(frozen=True)
class Kind:
    """A way to build a block, recognised by the parameters that it has, whatever its class is called.

    Attributes:
        name: what it is called here.
        parts: which modules play which role; a block that has others with parameters is none of this kind.
        steps: what is computed in it, step by step.
        may: roles that it can do without.
    """

    name: str
    parts: Mapping[str, str]
    steps: Callable[[Seen], Steps]
    may: frozenset[str] = field(default=frozenset())

    def fits(self, block: Any) -> bool:
        """Whether a module is a block of this kind."""
        return not any(self.differences(parts_of(block)))

    def differences(self, parts: Collection[str]) -> tuple[frozenset[str], frozenset[str]]:
        """Of the parts of a block those that this kind has not, and those of this kind that it lacks."""
        needed = {module for role, module in self.parts.items() if role not in self.may}
        return frozenset(parts) - set(self.parts.values()), frozenset(needed - set(parts))


def parts_of(block: Any) -> frozenset[str]:
    """The names of the modules within a block that have parameters of their own."""
    return frozenset(
        name for name, module in block.named_modules() if any(True for _ in module.parameters(recurse=False))
    )


@dataclass(frozen=True, eq=False)
class Seen:
    """One passage of T tokens through a block.

    Attributes:
        kind: of which kind it is.
        block: the module.
        config: the model's configuration.
        states: float32 [token, hidden], what the model reports as hidden states before the block.
        attention: float32 [head, query, key], what it reports as attention.
        output: float32 [token, hidden], what it reports as hidden states after the block; where a final norm
            comes before them, what came out of the block.
        passed: the first tensor that went into, or came out of, each module within the block, without the
            axis of texts; those that were passed more than once are left out.
        given: everything that went into each module.
    """

    kind: Kind
    block: Any
    config: Any
    states: Array
    attention: Array
    output: Array
    passed: Mapping[tuple[str, Side], Array]
    given: Mapping[str, Any]

    def has(self, role: str) -> bool:
        """Whether the block has this part."""
        name = self.kind.parts[role]
        return any(name == module for module, _ in self.block.named_modules())

    def into(self, role: str) -> Array | None:
        """What went into a part, or into the block itself (""); None if that was not seen."""
        return self.passed.get((self.kind.parts.get(role, role), "in"))

    def out_of(self, role: str) -> Array | None:
        """What came out of a part, or of the block itself (""); None if that was not seen."""
        return self.passed.get((self.kind.parts.get(role, role), "out"))

    def linear(self, role: str) -> Linear:
        """The weights of a linear layer."""
        return linear(self._module(role))

    def norm(self, role: str) -> Callable[[Array], Array]:
        """The norm that plays this role."""
        return norm(self._module(role))

    @property
    def activation(self) -> Callable[[Array], Array]:
        """The activation function that the configuration names.

        Raises:
            ModelError: it is not known here.
        """
        name = self.activation_name
        if name not in ACTIVATIONS:
            raise ModelError(
                f"The activation {name!r} is not supported here; known: {', '.join(ACTIVATIONS)}."
            )
        return ACTIVATIONS[name]

    @property
    def activation_name(self) -> str:
        """What the configuration calls it."""
        return next(str(getattr(self.config, one)) for one in _ACTIVATION_NAMES if hasattr(self.config, one))

    @property
    def num_heads(self) -> int:
        """Heads of queries."""
        return len(self.attention)

    @property
    def scale(self) -> float | None:
        """What scores are multiplied by, where the attention module says so."""
        scale = getattr(self.block.get_submodule(self._attention), "scaling", None)
        return None if scale is None else float(scale)

    @property
    def mask(self) -> Array | None:
        """bool [query, key] or [head, query, key], true where a query may look; None if it may look anywhere."""
        square = self.attention.shape[1:]
        for _, tensor in tensors(self.given[self._attention]):
            if tensor.ndim == 4 and tuple(tensor.shape[2:]) == square:
                allowed = tensor[0] if tensor.dtype == torch.bool else tensor[0] > _HIDDEN
                mask = allowed.cpu().numpy()
                return None if mask.all() else mask[0] if len(mask) == 1 else mask
        return None

    @property
    def rotary(self) -> tuple[Array, Array]:
        """The cosines and sines [token, turned] that the model turns queries and keys by."""
        _, named = self.given[self._attention]
        cos, sin = named["position_embeddings"]
        return as_array(cos[0]), as_array(sin[0])

    @property
    def _attention(self) -> str:
        return self.kind.parts["query"].rpartition(".")[0]

    def _module(self, role: str) -> Any:
        return self.block.get_submodule(self.kind.parts[role])


def linear(module: Any) -> Linear:
    """The weights of a linear layer; GPT-2's "Conv1D" is one that keeps them as [in, out]."""
    weight = _plain(module, "weight")
    bias = None if module.bias is None else _plain(module, "bias")
    return Linear(weight if isinstance(module, torch.nn.Linear) else weight.T, bias)


def norm(module: Any) -> Callable[[Array], Array]:
    """A norm module as a function: LayerNorm, or for any other RMSNorm, which the proof then confirms."""
    weight = _plain(module, "weight")
    if isinstance(module, torch.nn.LayerNorm):
        bias = None if module.bias is None else _plain(module, "bias")
        return lambda x: layer_norm(x, weight, bias, module.eps)
    eps = module.variance_epsilon if hasattr(module, "variance_epsilon") else module.eps
    return lambda x: rms_norm(x, weight, eps)


def _plain(module: Any, name: str) -> Array:
    """A parameter as a float32 array.

    Raises:
        ModelError: it is kept as something else than numbers of its own.
    """
    parameter = getattr(module, name)
    if not parameter.is_floating_point():
        raise ModelError(
            f"The {name} of {type(module).__name__} is kept quantised ({parameter.dtype}), so that its block cannot be "
            "recomputed; load the model without quantisation."
        )
    return np.array(as_array(parameter))
