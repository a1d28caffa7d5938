"""Arguments of another kind than a function takes: one sentence, before anything is done with them."""

from __future__ import annotations

import functools
import inspect
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Set
from numbers import Real
from pathlib import PurePath
from typing import Any, ParamSpec, TypeVar

from layerscope.errors import InputError, brief

P = ParamSpec("P")
R = TypeVar("R")

_MOST = 2**62


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Look at the arguments of a public function before it runs: whether each is of the kind that it is annotated with.

    Annotations of other kinds than those below are the function's own to look at; so are values and elements.

    Raises:
        InputError: an argument of another kind.

    >>> @checked
    ... def repeated(text: str, times: int = 2) -> str:
    ...     return text * times
    >>> repeated("a", times="b")
    Traceback (most recent call last):
    layerscope.errors.InputError: times is a whole number; not 'b'.
    """
    signature = inspect.signature(function)
    takes = {name: _alternatives(one.annotation) for name, one in signature.parameters.items()}

    @functools.wraps(function)
    def looked_at(*args: P.args, **options: P.kwargs) -> R:
        for name, given in signature.bind(*args, **options).arguments.items():
            if takes[name]:
                check(name, given, *takes[name])
        return function(*args, **options)

    return looked_at


def check(name: str, given: Any, *kinds: str) -> None:
    """Raise an `InputError` unless this is of one of some kinds, each named as in an annotation."""
    if any(_KINDS[kind][1](given) for kind in kinds):
        return
    wanted = dict.fromkeys(_KINDS[kind][0] for kind in kinds if kind != "None")
    raise InputError(f"{name} is {' or '.join(wanted)}; not {brief(given)}.{_hint(given, kinds)}")


def check_count(name: str, given: Any, least: int = 1) -> None:
    """Raise an `InputError` unless this is a whole number, not below `least`."""
    if not _is_whole(given) or given < least:
        raise InputError(f"{name} is a whole number, at least {least}; not {brief(given)}.")


def _alternatives(annotation: Any) -> tuple[str, ...]:
    """The kinds that an annotation names; none if it names one that is not known here."""
    if not isinstance(annotation, str):
        return ()
    while (plain := re.sub(r"\[[^\[\]]*\]", "", annotation)) != annotation:
        annotation = plain
    kinds = tuple(kind.strip() for kind in annotation.split("|"))
    return kinds if all(kind in _KINDS for kind in kinds) else ()


def _is_whole(given: Any) -> bool:
    """Whether this is a whole number, of a size that a machine counts with."""
    try:
        return -_MOST <= operator.index(given) <= _MOST and not isinstance(given, bool)
    except TypeError:
        return False


def _is_list(given: Any) -> bool:
    """Whether this has items in an order; of text the function itself says that it is one, and no list."""
    is_other = isinstance(given, bytes | bytearray | Mapping | Set) or hasattr(given, "columns")
    return isinstance(given, Iterable) and getattr(given, "ndim", 1) == 1 and not is_other


def _named(name: str) -> Callable[[Any], bool]:
    """Whether something is of a class of ours, which stands above this file, or of one derived from it."""
    return lambda given: any(
        one.__name__ == name and one.__module__.startswith("layerscope.") for one in type(given).__mro__
    )


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "None": ("None", lambda given: given is None),
    "bool": ("True or False", lambda given: type(given).__name__ in ("bool", "bool_")),
    "int": ("a whole number", _is_whole),
    "float": ("a number", lambda given: isinstance(given, Real) and not isinstance(given, bool)),
    "str": ("text", lambda given: isinstance(given, str)),
    "Sequence": ("a list", _is_list),
    "Model": ("a Model, as layerscope.load gives it", _named("Model")),
    "Trace": ("a Trace, as model.run gives it", _named("Trace")),
    "Features": ("Features, as open_features gives them", _named("Features")),
    "Feature": ("a Feature", _named("Feature")),
    "Axes": ("an Axes of matplotlib", lambda given: hasattr(given, "get_figure") and hasattr(given, "plot")),
}


def _hint(given: Any, kinds: tuple[str, ...]) -> str:
    """What to do with something that is nearly what was meant."""
    if "Trace" in kinds:
        return " Run a text first: model.run(text)." if _named("Model")(given) else ""
    if "Model" not in kinds:
        return ""
    if _named("Trace")(given):
        return " A trace is of one text already; give the model that made it."
    if isinstance(given, list | tuple):
        return " Give one model at a time."
    if isinstance(given, str | PurePath):
        return " Load it first: layerscope.load(name)."
    return " Give layerscope.wrap(network, tokenizer)." if hasattr(given, "named_modules") else ""
