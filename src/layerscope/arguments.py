"""What is said of an argument that is of another kind than the function takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from layerscope.errors import InputError, brief
from layerscope.model import Model
from layerscope.trace import Trace


def check_model(given: Any) -> None:
    """Raise an `InputError` unless this is a `Model`."""
    if isinstance(given, Model):
        return
    hint = ""
    if isinstance(given, Trace):
        hint = " A trace is of one text already; give the model that made it."
    elif isinstance(given, list | tuple):
        hint = " Give one model at a time."
    elif isinstance(given, str | Path):
        hint = " Load it first: layerscope.load(name)."
    elif hasattr(given, "named_modules"):
        hint = " Give layerscope.wrap(network, tokenizer)."
    raise InputError(f"model is a Model, as layerscope.load gives it; not {brief(given)}.{hint}")


def check_trace(given: Any) -> None:
    """Raise an `InputError` unless this is a `Trace`."""
    if isinstance(given, Trace):
        return
    hint = " Run a text first: model.run(text)." if isinstance(given, Model) else ""
    raise InputError(f"trace is a Trace, as model.run gives it; not {brief(given)}.{hint}")


def check_count(name: str, given: Any, least: int = 1) -> None:
    """Raise an `InputError` unless this is a whole number, not below `least`."""
    is_number = hasattr(given, "__index__") and not isinstance(given, bool)
    if not is_number or given.__index__() < least:
        raise InputError(f"{name} is a whole number, at least {least}; not {brief(given)}.")
