"""Verifying: what Layerscope hands out against plain transformers, run now, on any checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from layerscope import samples
from layerscope.arguments import checked
from layerscope.errors import InputError
from layerscope.network.capture import evaluation, recording_attention
from layerscope.network.outputs import as_array, named
from layerscope.reduce.pooling import Array
from layerscope.text.encode import list_of_texts
from layerscope.trace import Trace

if TYPE_CHECKING:
    import pandas as pd

    from layerscope.model import Model

# In float32, relative to the largest value of an output (or to 1 if that is smaller); the others round more.
TOLERANCES = {"float32": 1e-5, "float64": 1e-5, "float16": 2e-2, "bfloat16": 1e-1}


@dataclass(frozen=True)
class Difference:
    """One output compared over all texts: its largest difference, and its largest value."""

    output: str
    largest: float
    scale: float
    texts: int

    @property
    def relative(self) -> float:
        """The largest difference relative to the largest value, or to 1 if that is smaller."""
        return self.largest / max(1.0, self.scale)


@dataclass(frozen=True)
class Verification:
    """The result of `verify`: a difference for each output, and what was not compared and why."""

    model: str
    tolerance: float
    differences: tuple[Difference, ...]
    left_out: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every output is within the tolerance; NaN is not."""
        return bool(self.differences) and all(one.relative <= self.tolerance for one in self.differences)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        differences = [asdict(one) | {"relative": one.relative} for one in self.differences]
        return asdict(self) | {"passed": self.passed, "differences": differences}

    def table(self) -> pd.DataFrame:
        """One row an output: largest difference, largest value, relative difference, texts, within."""
        import pandas as pd

        return pd.DataFrame(
            {
                "largest difference": [one.largest for one in self.differences],
                "largest value": [one.scale for one in self.differences],
                "relative": [one.relative for one in self.differences],
                "texts": [one.texts for one in self.differences],
                "within": [one.relative <= self.tolerance for one in self.differences],
            },
            index=pd.Index([one.output for one in self.differences], name="output"),
        )


@checked
def verify(model: Model, texts: Iterable[str] | None = None) -> Verification:
    """Compare what Layerscope gives for these texts with plain transformers, run now.

    Ours are run together, in batches; theirs one by one, through the model's own forward with its own
    `output_hidden_states` and `output_attentions`.

    Args:
        model: any model.
        texts: what to run; None for the samples. Those longer than the context window are left out, since
            plain transformers cannot read them.

    >>> import layerscope as ls
    >>> ls.verify(ls.load(), ["Seeing is believing."]).passed
    True
    """
    texts = samples.texts() if texts is None else list_of_texts(texts)
    window = model.context_window
    fitting = [text for text in texts if 0 < len(model.tokenize(text)) <= (window or np.inf)]
    if not fitting:
        raise InputError(
            "There is nothing to compare: none of the texts has a token and fits the context window."
        )
    targets = fitting if model.kind == "encoder-decoder" else None
    has_logits = model.has_head and not model.untrained_head
    largest: dict[str, list[tuple[float, float]]] = {}
    # Hidden states are compared under the implementation that people run, attention under the one that records it.
    for attention in (False, True):
        ours = model.run_many(
            fitting, targets=targets, attention=attention, logits=has_logits and not attention
        )
        for text, trace in zip(fitting, ours, strict=True):
            for name, theirs in _plain(model, text, trace, attention).items():
                if name in trace.outputs and ("attentions" in name) == attention:
                    own = trace.outputs[name]
                    scale = float(np.abs(theirs).max(initial=0))
                    largest.setdefault(name, []).append((float(np.abs(own - theirs).max(initial=0)), scale))
    skipped = len(texts) - len(fitting)
    return Verification(
        model=model.name,
        tolerance=TOLERANCES.get(str(model.hf.dtype).removeprefix("torch."), 1e-5),
        differences=tuple(_difference(name, pairs) for name, pairs in largest.items()),
        left_out=(f"{skipped} texts: empty, or longer than the context window of {window} tokens",)
        if skipped
        else (),
    )


def _difference(name: str, pairs: list[tuple[float, float]]) -> Difference:
    """The largest of each; by numpy, since Python's max would lose a NaN."""
    largest, scale = np.max(pairs, axis=0)
    return Difference(name, float(largest), float(scale), len(pairs))


def _plain(model: Model, text: str, trace: Trace, attention: bool) -> dict[str, Array]:
    """The model's own outputs for one text, without the axis of texts."""
    import torch

    inputs = model.tokenizer(text, return_tensors="pt").to(model.device)
    if trace.target is not None:
        inputs["decoder_input_ids"] = torch.from_numpy(trace.target.ids)[None].to(model.device)
    kept = {name: value for name, value in inputs.items() if name in model.forward_names}
    with model.lock, ExitStack() as stack:
        stack.enter_context(evaluation(model.hf))
        if attention:
            stack.enter_context(recording_attention(model.hf))
        output = model.hf(**kept, output_hidden_states=not attention, output_attentions=attention)
        pooled = None
        if not attention and "pooler_output" in trace.outputs and "pooler_output" not in output:
            # Heads for masked words leave it out of their output.
            pooled = model.hf.base_model(**kept).pooler_output
    arrays = {} if pooled is None else {"pooler_output": as_array(pooled[0])}
    for name, value in named(output).items():
        if isinstance(value, tuple):
            if value:
                arrays[name] = np.stack([as_array(one[0]) for one in value])
        else:
            arrays[name] = as_array(value[0])
    return arrays
