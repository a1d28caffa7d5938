"""Anatomy: every step inside one block for one text, computed anew and held against the model's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from layerscope.analysis.blocks import bert, gpt2, llama
from layerscope.analysis.blocks.passage import Passage, passage
from layerscope.analysis.blocks.seen import Kind, norm
from layerscope.analysis.blocks.step import Step, Steps, step
from layerscope.arguments import checked
from layerscope.errors import InputError, ModelError, unknown
from layerscope.network.outputs import tolerance
from layerscope.reduce.attention import one_head
from layerscope.reduce.layers import resolve_layer
from layerscope.result import Result
from layerscope.shown import counted, last_part, size
from layerscope.text.tokens import Tokens

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from layerscope.model import Model

KINDS: tuple[Kind, ...] = (*bert.KINDS, *gpt2.KINDS, *llama.KINDS)

# The most that a step may differ from the model's own, relative to its largest value; models in half precision
# round each step, which is not done here.
_TOLERANCE = 1e-4

# More tokens than these make no heat map.
_MANY = 64


@dataclass(frozen=True, eq=False, repr=False)
class Anatomy(Result):
    """Every step inside one block for one text of T tokens.

    Each step is computed from the one before it and the block's weights, in float32; the first is the
    hidden states of the layer before, the last those of this layer. Wherever the model shows what it has
    itself, the two were compared.

    Attributes:
        model: the model's name.
        layer: which block, from 1.
        block: where it is in the model, and its class.
        kind: what it is like: "BERT-like", "GPT-2-like" or "Llama-like".
        tokens: the T tokens.
        steps: the steps in order.
        key_heads: for each head of queries the head of keys and values that it uses; the same number, unless
            groups of queries share keys.
    """

    model: str
    layer: int
    block: str
    kind: str
    tokens: Tokens
    steps: tuple[Step, ...]
    key_heads: tuple[int, ...]

    @checked
    def step(self, name: str) -> Step:
        """A step by its name.

        Raises:
            InputError: this block has none of that name.
        """
        found = {one.name: one for one in self.steps}
        if name not in found:
            raise unknown("step", name, found)
        return found[name]

    @property
    def largest(self) -> float:
        """The largest difference from the model's own, over all steps that it shows, each relative to its values."""
        return max(one.relative for one in self.steps if one.relative is not None)

    def table(self) -> pd.DataFrame:
        """One row a step: shape, axes, formula, median length of its vectors, difference, relative, explanation.

        The difference is the largest from the model's own; relative, to the step's largest value; NaN where the model
        does not show the step. Scores and probabilities are no vectors: their length is NaN.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "shape": [size(one.array.shape) for one in self.steps],
                "axes": [one.axes for one in self.steps],
                "formula": [one.formula for one in self.steps],
                "length": [_length(one) for one in self.steps],
                "difference": np.array([one.difference for one in self.steps], dtype=float),
                "relative": np.array([one.relative for one in self.steps], dtype=float),
                "explanation": [one.explanation for one in self.steps],
            },
            index=pd.Index([one.name for one in self.steps], name="step"),
        )

    @checked
    def head(self, head: int, step: str = "probabilities") -> pd.DataFrame:
        """One head's scores, masked scores or probabilities as a labelled table; rows are queries."""
        import pandas as pd

        chosen = self.step(step)
        if chosen.axes != "head query key":
            tables = [one.name for one in self.steps if one.axes == "head query key"]
            raise InputError(f"{step!r} is no table of queries and keys; {', '.join(tables)} are.")
        return pd.DataFrame(
            one_head(chosen.array, head),
            index=pd.Index(self.tokens.strings, name="query"),
            columns=pd.Index(self.tokens.strings, name="key"),
        )

    def to_dict(self) -> dict[str, Any]:
        """All but the arrays as plain values; an array is `.step(name).array`."""
        return {
            "model": self.model,
            "layer": self.layer,
            "block": self.block,
            "kind": self.kind,
            "text": self.tokens.text,
            "tokens": list(self.tokens.strings),
            "key_heads": list(self.key_heads),
            "largest_relative_difference": self.largest,
            "steps": [
                {
                    "name": one.name,
                    "explanation": one.explanation,
                    "formula": one.formula,
                    "axes": one.axes.split(),
                    "shape": list(one.array.shape),
                    "length": _length(one),
                    "scale": one.scale,
                    "difference": one.difference,
                    "relative": one.relative,
                }
                for one in self.steps
            ],
        }

    @checked
    def plot(self, ax: Axes | None = None) -> Axes:
        """The residual stream through the block: how long each token's vector is, step by step."""
        from layerscope.plots.anatomy import stream

        rows = [one for one in self.steps if one.axes == "token hidden"]
        return stream(
            {one.name: one.lengths for one in rows},
            added={"attention output", "down"},
            title=f"{last_part(self.model)}, layer {self.layer}: "
            f"{counted(len(self.tokens), 'token')} through the block",
            ax=ax,
        )

    @checked
    def plot_head(self, ax: Axes | None = None, *, head: int, step: str = "probabilities") -> Axes:
        """One head's scores or probabilities as a heat map; rows are queries."""
        from layerscope.plots.heat import heat

        if len(self.tokens) > _MANY:
            raise InputError(
                f"{len(self.tokens)} tokens cannot be read as a heat map; draw at most {_MANY}, or take head({head})."
            )
        table = self.head(head, step).replace(-np.inf, np.nan)
        low, high = (0.0, 1.0) if step == "probabilities" else (table.min().min(), table.max().max())
        return heat(
            table,
            f"{last_part(self.model)}, layer {self.layer}, head {head}",
            ax,
            float(low),
            float(high),
            meaning=step,
        )

    _calls = ".step(name).array, .head(n), .table(), .plot(), .plot_head(head=0)"

    def _holds(self) -> str:
        steps, tokens = counted(len(self.steps), "step"), counted(len(self.tokens), "token")
        return f"{steps} inside layer {self.layer} of {last_part(self.model)} ({self.kind}), {tokens}"


@checked
def anatomy(model: Model, text: str, layer: int = -1, pair: str | None = None) -> Anatomy:
    """Every step inside one block, and the proof that they add up.

    The block's own weights are put through plain numpy (`layerscope.algebra`), step by step, each from the
    step before, and every step that the model shows is compared with the model's own.

    Args:
        model: one whose blocks are like BERT's (also RoBERTa, ELECTRA, DistilBERT, ALBERT), GPT-2's, or Llama's
            (also Mistral, Qwen2, Qwen3, SmolLM2).
        text, pair: what passes through it; it must fit the context window.
        layer: which block: layer k is the hidden states that block k hands on, negative from the end.

    Raises:
        InputError: the text is empty or too long, or there is no such block.
        ModelError: the block is built in a way that is not known here, or a step differs from the model's own
            by more than 1e-4 of its largest value (2e-2 and 1e-1 in float16 and bfloat16): it is then not shown.

    >>> import layerscope as ls
    >>> block = ls.anatomy(ls.load(), "Seeing is believing.", layer=3)
    >>> block.table().loc[["queries", "scores", "output"], ["shape", "formula"]]
                 shape              formula
    step
    queries  12 × 6 × 32  q = split(x Wq + bq)
    scores    12 × 6 × 6         s = q kᵀ / √32
    output       6 × 384           norm(y + d)
    >>> block.largest < 1e-5
    True
    """
    number = resolve_layer(layer, model.num_layers)
    if number == 0:
        raise InputError(
            f"Layer 0 is the embedding output, which no block makes; blocks are layers 1 to {model.num_layers}."
        )
    tokens = model.tokenize(text, pair)
    if not len(tokens):
        raise InputError(
            "There is no token to follow: the text is empty and this tokenizer adds no special tokens."
        )
    if model.context_window is not None and len(tokens) > model.context_window:
        raise InputError(
            f"The text has {counted(len(tokens), 'token')}; anatomy shows at most {model.context_window}, one window."
        )
    through = passage(model, tokens, number, KINDS)
    seen = through.seen
    if not np.isfinite(through.states).all():
        raise ModelError(
            f"Layer {number} of {model.name} holds NaN or infinity for this text: nothing adds up."
        )
    steps = _proven(model, number, through)
    keys = len(next(one for one in steps if one.name == "keys").array)
    return Anatomy(
        model=model.name,
        layer=number,
        block=f"{through.name} ({type(seen.block).__name__})",
        kind=seen.kind.name,
        tokens=tokens,
        steps=steps,
        key_heads=tuple(head * keys // seen.num_heads for head in range(seen.num_heads)),
    )


def _proven(model: Model, layer: int, through: Passage) -> tuple[Step, ...]:
    """The steps of a block, each held against the model's own."""
    allowed = max(tolerance(model.hf.dtype), _TOLERANCE)
    steps: list[Step] = []
    try:
        for one in _steps(through):
            if one.relative is not None and not one.relative <= allowed:
                raise ModelError(
                    f"Layer {layer} of {model.name} does not add up: {one.name} differs from the model's own by "
                    f"{one.relative:.1g} of its largest value. The block computes something that is not known here."
                )
            steps.append(one)
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        # Parts that are not there, or not of the shape that they would have here.
        what = steps[-1].name if steps else "the beginning"
        raise ModelError(
            f"Layer {layer} of {model.name} ({type(through.seen.block).__name__}) is put together in another way than "
            f"{through.seen.kind.name} blocks are: it cannot be followed after {what}."
        ) from error
    return tuple(steps)


def _steps(through: Passage) -> Steps:
    """The block's steps, and those from there to the hidden states of its layer."""
    last = None
    for last in through.seen.kind.steps(through.seen):
        yield last
    assert last is not None
    if through.after is not None:
        x = norm(through.after)(last.array)
        yield step("final norm", "norm(y + d)", x, through.states)


def _length(one: Step) -> float:
    """The median length of the vectors of a step; NaN for scores and probabilities, which are none."""
    return float("nan") if one.axes == "head query key" else float(np.median(one.lengths))
