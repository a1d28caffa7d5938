"""Verifying: what Layerscope hands out against plain transformers, run now, on any checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from layerscope import samples
from layerscope.arguments import checked
from layerscope.corpus.corpus import open_corpus
from layerscope.engine.stream import ROWS, stream
from layerscope.errors import InputError, ModelError
from layerscope.network.capture import call, evaluation, recording_attention
from layerscope.network.outputs import NAMES, as_array, reported, tolerance
from layerscope.network.windows import windows
from layerscope.reduce.feature import Feature
from layerscope.reduce.pooling import Array
from layerscope.result import Result
from layerscope.shown import counted, last_part
from layerscope.text.encode import list_of_texts
from layerscope.text.tokens import Tokens
from layerscope.trace import Trace

if TYPE_CHECKING:
    import pandas as pd

    from layerscope.model import Model

# A text for the windows is made of those given where the context window is no larger.
_WINDOW = 1024

_MEAN = Feature.parse("mean@all")

# What is reported besides, and is there under another name: the last of the hidden states.
_LAST = frozenset({"last_hidden_state", "encoder_last_hidden_state"})


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


@dataclass(frozen=True, repr=False)
class Verification(Result):
    """The result of `verify`: a difference for each output, and what was not compared and why."""

    model: str
    tolerance: float
    differences: tuple[Difference, ...]
    left_out: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every output is within the tolerance; NaN is not."""
        return bool(self.differences) and all(one.relative <= self.tolerance for one in self.differences)

    _calls = ".passed, .table(), .left_out"

    def _holds(self) -> str:
        verdict = "equals" if self.passed else "DIFFERS from"
        return f"{last_part(self.model)} {verdict} plain transformers in {counted(len(self.differences), 'output')}"

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

    Theirs are run one by one, through the model's own forward with its own `output_hidden_states` and
    `output_attentions`. Ours are what users are given: texts run together, in batches; one that is longer than the
    context window, whose windows are compared with plain passes over each; and the means of a corpus, pooled where
    they pass. What is not compared is in `left_out`, with the reason.

    Args:
        model: any model.
        texts: what to run; None for the samples.

    >>> import layerscope as ls
    >>> ls.verify(ls.load(), ["Seeing is believing."]).passed
    True
    """
    texts = samples.texts() if texts is None else list_of_texts(texts)
    window = model.context_window
    tokens = [model.tokenize(text) for text in texts]
    fitting = [one.text for one in tokens if 0 < len(one) <= (window or np.inf)]
    if not fitting:
        raise InputError(
            "There is nothing to compare: none of the texts has a token and fits the context window."
        )
    seen = _Seen()
    states = _compare_outputs(model, fitting, seen)
    _compare_attention(model, fitting, seen)
    _compare_means(model, fitting, states, seen)
    _compare_windows(model, [one for one in tokens if len(one) > (window or np.inf)], fitting, seen)
    empty = sum(not len(one) for one in tokens)
    if empty:
        seen.left_out.append(f"{_texts(empty)} without tokens")
    return Verification(
        model=model.name,
        tolerance=tolerance(model.hf.dtype),
        differences=tuple(_difference(name, pairs) for name, pairs in seen.pairs.items()),
        left_out=tuple(seen.left_out),
    )


@dataclass(eq=False)
class _Seen:
    """What was compared: for each output the largest difference and value of each text; and what was not, and why."""

    pairs: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(self, name: str, ours: Array, theirs: Array) -> None:
        difference = float(np.abs(ours - theirs).max(initial=0)) if ours.shape == theirs.shape else np.inf
        self.pairs.setdefault(name, []).append((difference, float(np.abs(theirs).max(initial=0))))


def _compare_outputs(model: Model, texts: list[str], seen: _Seen) -> list[Array]:
    """All but attention, under the implementation that people run; gives the plain hidden states of each text."""
    ours = model.run_many(texts, targets=_targets(model, texts), logits=bool(model.trained_heads))
    states = []
    for text, trace in zip(texts, ours, strict=True):
        output = _plain(model, text, trace, {"output_hidden_states": True})
        theirs = _arrays(model, output)
        if "pooler_output" in trace.outputs and "pooler_output" not in theirs:
            # Heads for masked words leave it out of their output.
            theirs["pooler_output"] = as_array(_plain(model, text, trace, {}, base=True)["pooler_output"][0])
        for name, array in theirs.items():
            if name in trace.outputs:
                seen.add(name, trace.outputs[name], array)
        states.append(theirs["hidden_states"])
    seen.left_out += [f"{name}: {why}" for name, why in model.sites().missing.items()]
    seen.left_out += [
        f"{name}, which {type(model.hf).__name__} reports and a trace does not hold"
        for name, value in output.items()
        if isinstance(value, torch.Tensor) and NAMES.get(name, name) not in seen.pairs and name not in _LAST
        if NAMES.get(name, name) not in model.sites().missing
    ]
    return states


def _compare_attention(model: Model, texts: list[str], seen: _Seen) -> None:
    """Attention, under the implementation that records it."""
    try:
        ours = model.run_many(texts, targets=_targets(model, texts), attention=True)
    except ModelError as error:
        seen.left_out.append(f"attention: {error}")
        return
    for text, trace in zip(texts, ours, strict=True):
        with recording_attention(model.hf):
            theirs = _arrays(model, _plain(model, text, trace, {"output_attentions": True}))
        for name, array in theirs.items():
            if name in trace.outputs and "attentions" in name:
                seen.add(name, trace.outputs[name], array)
    missing = model.sites(attention=True).missing
    seen.left_out += [f"{name}: {why}" for name, why in missing.items() if "attentions" in name]


def _compare_means(model: Model, texts: list[str], states: list[Array], seen: _Seen) -> None:
    """The means of a corpus, as `extract` computes them, with those of the plain hidden states."""
    for block in stream(model, open_corpus(texts).chunks(ROWS), [_MEAN]):
        columns = [block.columns[f"mean_{layer}"].values for layer in range(model.num_layers + 1)]
        for row, number in enumerate(range(block.rows.start, block.rows.start + len(block.rows))):
            ours = np.stack([np.asarray(column[row]) for column in columns])
            seen.add("mean@all of a corpus", ours, states[number].mean(axis=1))


def _compare_windows(model: Model, long: list[Tokens], texts: list[str], seen: _Seen) -> None:
    """Texts longer than the context window: each token with the plain pass over the window that it is taken from."""
    size = model.context_window
    if size is None:
        return
    if not long and size <= _WINDOW:
        joined = " ".join(texts)
        long = [model.tokenize(" ".join([joined] * (2 * size // max(len(model.tokenize(joined)), 1) + 1)))]
        long = [one for one in long if len(one) > size]
    if not long:
        seen.left_out.append(f"windows: none of the texts is longer than the context window of {size} tokens")
    for tokens in long:
        ours = model.run(tokens).hidden_states
        theirs = np.full_like(ours, np.nan)
        for window in windows(tokens, size, causal=model.kind == "decoder"):
            plain = _plain(model, tokens.keep(window.positions), None, {"output_hidden_states": True})
            states = _arrays(model, plain)["hidden_states"]
            theirs[:, window.positions[window.owned]] = states[:, window.owned]
        seen.add("hidden_states in windows", ours, theirs)


def _targets(model: Model, texts: list[str]) -> list[str] | None:
    return texts if model.is_encoder_decoder else None


def _difference(name: str, pairs: list[tuple[float, float]]) -> Difference:
    """The largest of each; by numpy, since Python's max would lose a NaN."""
    largest, scale = np.max(pairs, axis=0)
    return Difference(name, float(largest), float(scale), len(pairs))


def _texts(count: int) -> str:
    return f"{count} text" if count == 1 else f"{count} texts"


def _plain(
    model: Model, text: str | Tokens, trace: Trace | None, ask: dict[str, bool], base: bool = False
) -> Any:
    """The model's own output for one text, by the model's own tokenizer; or for tokens, those of a window."""
    if isinstance(text, Tokens):
        ids, types = (torch.from_numpy(one)[None] for one in (text.ids, text.token_type_ids))
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": types}
    else:
        inputs = dict(model.tokenizer(text, return_tensors="pt"))
    if model.is_encoder_decoder:
        target = [model.decoder_start_id] if trace is None or trace.target is None else trace.target.ids
        inputs["decoder_input_ids"] = torch.tensor(target)[None]
    kept: dict[str, Any] = {
        name: one.to(model.device) for name, one in inputs.items() if name in model.forward_names
    }
    if "use_cache" in model.forward_names:
        kept["use_cache"] = False  # with it, FSMT's decoder sees what follows a token
    with model.lock, evaluation(model.hf):
        return call(model.hf.base_model if base else model.hf, kept | ask)


def _arrays(model: Model, output: Any) -> dict[str, Array]:
    """The outputs by our names, without the axis of texts, as far as they are read."""
    arrays = {}
    for name, axes in model.axes.items():
        value = reported(output, name)[1]
        if value is None:
            continue
        if axes.startswith("L"):
            sites = [model.sites().get((name, layer)) for layer in range(len(value))]
            layers = [
                one if site is None else site.of(one)
                for one, site in zip(value, sites, strict=True)
                if one is not None
            ]
            if layers and len({one.shape for one in layers}) == 1:
                arrays[name] = np.stack([as_array(one[0]) for one in layers])
        else:
            arrays[name] = as_array(value[0])
    return arrays
