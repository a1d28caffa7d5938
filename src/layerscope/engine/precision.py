"""In which precision the network runs: what the processor multiplies in hardware, and a check on the corpus itself."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from layerscope.engine.column_values import ColumnValues, column_values
from layerscope.engine.reader import Reader
from layerscope.engine.replicas import Replicas
from layerscope.errors import InputError, unknown
from layerscope.network.memory import Budget
from layerscope.network.network import Found, Network
from layerscope.reduce.feature import Feature
from layerscope.reduce.pooling import Array
from layerscope.text.tokens import Tokens

if TYPE_CHECKING:
    from layerscope.corpus.rows import Rows

N = TypeVar("N", bound=Network)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

# Rows from which the texts are taken that a precision is checked on, and how many.
_SAMPLED, _SAMPLE = 256, 32

# The least cosine to float32 that every vector of the sample must reach for bfloat16 to be chosen.
LEAST_COSINE = 0.999


def name_of(model: Network) -> str:
    """The precision that a model is in."""
    return str(model.hf.dtype).removeprefix("torch.")


def cast(model: N, dtype: str | None) -> N:
    """The model in a precision: itself if it is in it, or if none is asked for; else a copy.

    Raises:
        InputError: no such precision, or a quantised model, which has one of its own.
    """
    if dtype is None or dtype == name_of(model):
        return model
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, ["auto", *DTYPES])
    if not all(one.is_floating_point() for one in model.hf.parameters()):
        raise InputError(f"{model.name} is quantised and runs in its own precision; leave dtype out.")
    return replace(model, hf=copy.deepcopy(model.hf).to(DTYPES[dtype]), _found=Found())


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies matrices of bfloat16 in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        able = torch.cpu.get_capabilities()
        return bool(able.get("amx_bf16") or able.get("avx512_bf16"))
    return False


def choose(
    model: N, dtype: str | None, sample: Sequence[Tokens], features: Sequence[Feature], budget: Budget
) -> tuple[N, dict[str, Any] | None]:
    """The model in the precision asked for, and for "auto" what the check found.

    "auto" is bfloat16 where the hardware multiplies it and every vector of every feature of the sample has a
    cosine of at least `LEAST_COSINE` to the one computed in float32; else the precision that the model is in.
    """
    if dtype != "auto":
        return cast(model, dtype), None
    if name_of(model) != "float32":
        return model, {"chosen": name_of(model), "why": "the model was loaded in it"}
    if not multiplies_bfloat16(model.device):
        return model, {"chosen": "float32", "why": f"{model.device.type} has no bfloat16 hardware"}
    if not sample:
        return model, {"chosen": "float32", "why": "there was no text to check bfloat16 on"}
    half = cast(model, "bfloat16")
    exact, rounded = (column_values(Replicas(one), sample, features, budget) for one in (model, half))
    cosines = {name: _cosines(exact[name], rounded[name]) for name in exact}
    passed = all((found >= LEAST_COSINE).all() for found in cosines.values())
    record = {
        "chosen": "bfloat16" if passed else "float32",
        "why": f"the least cosine of bfloat16 to float32 is {'at least' if passed else 'below'} {LEAST_COSINE}",
        "texts": len(sample),
        "least_cosine": {name: _rounded(found.min(initial=1.0)) for name, found in cosines.items()},
        "mean_cosine": {name: _rounded(found.mean()) for name, found in cosines.items() if len(found)},
    }
    return (half if passed else model), record


def settled(
    model: N,
    dtype: str | None,
    first: Rows | None,
    reader: Reader,
    features: Sequence[Feature],
    budget: Budget,
) -> tuple[N, dict[str, Any] | None]:
    """The model in the precision asked for; "auto" is checked on the first rows of a corpus, if it has any."""
    sample = []
    if dtype == "auto" and first is not None:
        # One window of each text is enough, and what fails is found later.
        read = replace(reader, on_error="row", long="cut").read(first.part(0, _SAMPLED))
        sample = spread([row.tokens for row in read if row.tokens is not None], _SAMPLE)
    return choose(model, dtype, sample, features, budget)


def spread(texts: Sequence[Tokens], count: int) -> list[Tokens]:
    """At most `count` of these texts, evenly from the shortest to the longest."""
    ordered = sorted(texts, key=len)
    if len(ordered) <= count:
        return ordered
    places = np.linspace(0, len(ordered) - 1, count).round().astype(int)
    return [ordered[place] for place in places]


def _cosines(exact: ColumnValues, rounded: ColumnValues) -> Array:
    """The cosine of every vector of a column with its counterpart; -1 where rounding left none."""
    a, b = (_flat(cell).astype(np.float64) for cell in (exact, rounded))
    norms = np.linalg.norm(a, axis=1)
    there = np.isfinite(norms) & (norms > 0)
    a, b = a[there], b[there]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        found = (a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return np.asarray(np.where(np.isfinite(found), found, -1.0))


def _flat(cell: ColumnValues) -> Array:
    """The vectors of a column: [text, width], or [token or word, width] of all texts."""
    if isinstance(cell.values, np.ndarray):
        there = [number for number in range(len(cell.values)) if number not in cell.empty]
        return np.asarray(cell.values[there])
    return np.concatenate(cell.values)


def _rounded(value: float) -> float:
    return round(float(value), 6)
