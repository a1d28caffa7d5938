"""Describing a model: its modules in brief, its parameters by component, its limits, where it came from."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from layerscope.arguments import checked
from layerscope.errors import ModelError
from layerscope.head import Head
from layerscope.network.network import Network
from layerscope.network.notes import notes
from layerscope.result import Result
from layerscope.shown import last_part, size

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Labels of a head that are named.
_LABELS = 8


@dataclass(frozen=True)
class Parameter:
    """One parameter tensor: its name in the network, its shape, and the component that it belongs to."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    component: str
    part: str


@dataclass(frozen=True)
class Component:
    """A part of the network: how many parameter tensors and parameters it has, tied ones counted once."""

    name: str
    tensors: int
    parameters: int
    part: str


@dataclass(frozen=True, repr=False)
class Description(Result):
    """What a model is.

    Attributes:
        name, architecture, family, kind: what it is called, its transformers class and family, its kind.
        num_layers, num_heads, hidden_size, vocab_size, context_window: its sizes and limits; heads are None where
            it has none, or blocks have different numbers.
        dtype, device: how its weights are held.
        head: the modules of its heads, None if it is bare.
        heads: what each head is for, as transformers names it, and its labels.
        blocks: the module of each block in order, of an encoder-decoder the encoder's and then the decoder's; those
            that are found.
        components: the parts in order, each with `part` "body" or "head".
        tensors: every parameter tensor, tied ones once, component by component.
        tied: pairs of parameter names that are one tensor.
        untrained: parameters that the checkpoint has no weights for.
        tree: the modules in brief, repeated blocks once.
        revision: the commit of a Hub id.
        weights: the weight files with their SHA-256.
        notes: what one should know of how it is read, where it is unlike what one is used to.
    """

    name: str
    architecture: str
    family: str
    kind: str
    num_layers: int
    num_heads: int | None
    hidden_size: int
    vocab_size: int
    context_window: int | None
    dtype: str
    device: str
    head: str | None
    heads: tuple[str, ...]
    blocks: tuple[str, ...]
    components: tuple[Component, ...]
    tensors: tuple[Parameter, ...]
    tied: tuple[tuple[str, str], ...]
    untrained: tuple[str, ...]
    tree: str
    revision: str | None
    weights: dict[str, str]
    notes: tuple[str, ...]

    _calls = ".table(), .parameters(), .tree, .notes, .plot()"

    @property
    def num_parameters(self) -> int:
        """All parameters, tied ones counted once."""
        return sum(component.parameters for component in self.components)

    @property
    def body(self) -> tuple[int, int]:
        """Tensors and parameters without the head: (199, 109,482,240) for bert-base-uncased."""
        own = [component for component in self.components if component.part == "body"]
        return sum(one.tensors for one in own), sum(one.parameters for one in own)

    def table(self) -> pd.DataFrame:
        """One row a component: its part, parameter tensors, parameters."""
        import pandas as pd

        rows = pd.DataFrame([asdict(component) for component in self.components])
        return rows.set_index("name")[["part", "tensors", "parameters"]].rename_axis("component")

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self) | {"num_parameters": self.num_parameters}

    def parameters(self) -> pd.DataFrame:
        """Every parameter tensor by its name: shape, parameters, dtype, part, component; tied ones once.

        For bert-base-uncased the body has 199.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "shape": [size(one.shape) for one in self.tensors],
                "parameters": [math.prod(one.shape) for one in self.tensors],
                "dtype": [one.dtype for one in self.tensors],
                "part": [one.part for one in self.tensors],
                "component": [one.component for one in self.tensors],
            },
            index=pd.Index([one.name for one in self.tensors], name="name"),
        )

    @checked
    def plot(self, ax: Axes | None = None) -> Axes:
        """A bar for each component: how many million parameters it has."""
        import pandas as pd

        from layerscope.plots.bars import bars

        names = [one.name for one in self.components]
        millions = pd.Series([one.parameters / 1e6 for one in self.components], index=names, dtype=float)
        title = f"{last_part(self.name)}: {self.num_parameters / 1e6:,.1f} million parameters"
        return bars(millions, title=title, xlabel="million parameters", ylabel="", ax=ax)

    def _holds(self) -> str:
        heads = (
            f", with a head for {' and '.join(one.partition(' ')[0] for one in self.heads)}"
            if self.heads
            else ""
        )
        return (
            f"{last_part(self.name)}: {self.architecture}, {self.num_layers} layers, hidden size {self.hidden_size}, "
            f"{self.num_parameters:,} parameters{heads}"
        )


def describe(model: Network) -> Description:
    """Describe a model; the weight files are read once for their SHA-256. See `Model.describe`."""
    hf = model.hf
    parameter = next(hf.parameters())
    output = hf.get_output_embeddings()
    inner = hf.get_base_model() if hasattr(hf, "get_base_model") else hf
    components, tensors = _components(inner, hf)
    return Description(
        name=model.name,
        architecture=type(hf).__name__,
        family=model.config.model_type,
        kind=model.kind,
        num_layers=model.num_layers,
        num_heads=model.num_heads,
        hidden_size=model.hidden_size,
        vocab_size=model.vocab_size,
        context_window=model.context_window,
        dtype=str(parameter.dtype).removeprefix("torch."),
        device=str(parameter.device),
        head=None if not model.heads else _head_name(inner, output),
        heads=tuple(_of_head(head) for head in model.heads),
        blocks=_blocks(model),
        components=components,
        tensors=tensors,
        tied=_tied(hf),
        untrained=tuple(sorted(model.untrained)),
        tree=_tree(hf),
        revision=model.source.revision,
        weights=model.source.checksums(),
        notes=notes(model),
    )


def _blocks(model: Network) -> tuple[str, ...]:
    sides = ("encoder", "decoder") if model.is_encoder_decoder else ("encoder",)
    try:
        found = [block for side in sides for block in model.blocks(side)]
    except ModelError:  # it cannot be read, which the notes say
        return ()
    return tuple(dict.fromkeys(block.module for block in found if block is not None))


def _of_head(head: Head) -> str:
    """What a head is for: "token-classification (O, PER, LOC)"."""
    shown = [*head.labels[:_LABELS], *["…"] * (len(head.labels) > _LABELS)]
    labels = f" ({', '.join(shown)})" if shown else ""
    return f"{head.kind}{labels}{', untrained' if head.is_untrained else ''}"


def _head_name(hf: Any, output: Any) -> str:
    """The modules beside the body; where the two lie in one another, the one that gives the logits."""
    outside = [
        name
        for name, module in hf.named_children()
        if module is not hf.base_model and any(True for _ in module.parameters())
    ]
    if output is None or (outside and hf.base_model is not hf):
        return ", ".join(outside)
    return str(next(name for name, module in hf.named_modules() if module is output))


def _components(hf: Any, whole: Any) -> tuple[tuple[Component, ...], tuple[Parameter, ...]]:
    """The children of the body, the heads beside it, and what was put around both (adapters); and their parameters.

    Each has the parameters that none before it has.
    """
    names = {id(parameter): name for name, parameter in whole.named_parameters()}
    body = hf.base_model
    parts = [(name, module, "body") for name, module in body.named_children()]
    if body is not hf:
        parts += [(name, module, "head") for name, module in hf.named_children() if module is not body]
    seen: set[int] = set()
    found, tensors = [], []
    for name, module, part in [*parts, ("(own)", whole, "body")]:
        own = [p for p in module.parameters() if id(p) not in seen]
        seen |= {id(p) for p in own}
        if own:
            found.append(Component(name, len(own), sum(p.numel() for p in own), part))
        tensors += [
            Parameter(names[id(p)], tuple(p.shape), str(p.dtype).removeprefix("torch."), name, part)
            for p in own
        ]
    return tuple(found), tuple(tensors)


def _tied(hf: Any) -> tuple[tuple[str, str], ...]:
    first: dict[int, str] = {}
    pairs = []
    for name, parameter in hf.named_parameters(remove_duplicate=False):
        if id(parameter) in first:
            pairs.append((first[id(parameter)], name))
        first.setdefault(id(parameter), name)
    return tuple(pairs)


def _tree(module: Any, name: str = "", depth: int = 0) -> str:
    """The modules as an indented list; blocks that are alike once, with their number."""
    label = f"{name}: " if name else ""
    lines = ["  " * depth + label + _label(module)]
    children = list(module.named_children())
    while children:
        child_name, child = children.pop(0)
        shape = _shape(child)
        alike = [child_name]
        while (
            children and _shape(children[0][1]) == shape and children[0][0].isdigit() and child_name.isdigit()
        ):
            alike.append(children.pop(0)[0])
        shown = child_name if len(alike) == 1 else f"{alike[0]}-{alike[-1]} ({len(alike)} ×)"
        lines.append(_tree(child, shown, depth + 1))
    return "\n".join(lines)


def _label(module: Any) -> str:
    """A module's class and what it says of itself; of one that holds others only the class."""
    extra = "" if any(True for _ in module.children()) else module.extra_repr()
    return f"{type(module).__name__}({extra})" if extra else type(module).__name__


def _shape(module: Any) -> str:
    """What makes two modules alike: their whole description."""
    return repr(module)
