"""What can go wrong, as one tree: catch `LayerscopeError` and you catch all of it.

LayerscopeError
├── InputError          what was given does not fit (also a ValueError)
│   └── NotFoundError   a word or phrase that is not in the text, or is there more than once
├── CheckpointError     a model could not be loaded
│   └── UntrustedError  it would have run code from the checkpoint (pickle, remote code)
├── AlignmentError      tokens could not be placed in their text
├── StorageError        a folder of features could not be written, or is not what it should be
├── ModelError          the model has no such output (no head, no pooler, cannot be read)
└── MissingExtraError   an optional package is not installed

NewHeadWarning is no error: a head of random weights was put on, and that is said once.

Every message is one sentence or two: what was given, and what would work.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable

# Known names that a message lists, characters of what was given, and how alike a name is that may be meant.
_LISTED, _BRIEF, _NEAR = 20, 60, 0.7


class LayerscopeError(Exception):
    """The root of every error that Layerscope raises on purpose."""


class InputError(LayerscopeError, ValueError):
    """An argument that does not fit; the message says what would."""


class NotFoundError(InputError):
    """A word, phrase or range that is not in the text, or more than once where one was meant."""


class CheckpointError(LayerscopeError):
    """A checkpoint that could not be loaded; the cause is chained."""


class UntrustedError(CheckpointError):
    """A checkpoint that can only be loaded by running what it contains."""


class AlignmentError(LayerscopeError):
    """Tokens that could not be placed in the text they come from."""


class StorageError(LayerscopeError):
    """A folder of features that cannot be written, read, or gone on with."""


class ModelError(LayerscopeError):
    """Something asked of a model that it does not compute."""


class MissingExtraError(LayerscopeError, ImportError):
    """Optional packages that are not installed; the message says how to install them. `missing` makes it."""


class NewHeadWarning(UserWarning):
    """A head that the checkpoint has no weights for was made new; until fine-tuned it gives noise."""


class LeftOutHeadWarning(UserWarning):
    """A checkpoint that was saved with the head of a task is loaded without it; `task=` loads it."""


class MissingRowsWarning(UserWarning):
    """A corpus that may lack rows, which cannot be told: an iterator that was used up, a stream without its end."""


def again(kind: type[LayerscopeError], message: str) -> LayerscopeError:
    """An error of a kind with a message of its own, whatever arguments the kind makes its messages of."""
    return kind.__new__(kind, message)


def unknown(what: str, given: object, known: Iterable[str]) -> InputError:
    """An error for a name that is not known: it lists the known ones, the first of very many, and the nearest."""
    names = list(map(str, known))
    near = difflib.get_close_matches(str(given), names, n=1, cutoff=_NEAR)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    shown = repr(given)
    shown = shown if len(shown) <= _BRIEF and "\n" not in shown else brief(given)
    return InputError(f"Unknown {what} {shown}; known: {', '.join(names[:_LISTED])}{more}.{hint}")


def missing(*packages: str) -> MissingExtraError:
    """An error for packages that are not installed; it names those as pip knows them.

    >>> str(missing("seaborn", "matplotlib"))
    'This needs seaborn and matplotlib, which are not installed. Install them with: pip install seaborn matplotlib'
    """
    are, them = ("is", "it") if len(packages) == 1 else ("are", "them")
    return MissingExtraError(
        f"This needs {' and '.join(packages)}, which {are} not installed. "
        f"Install {them} with: pip install {shlex.join(packages)}"
    )


def brief(given: object) -> str:
    """What was given, on one short line, for a message: a value as it is written, of anything else its type.

    >>> brief("mean"), brief([1, 2]), brief(["a"] * 1000), brief({1})
    ("'mean'", '[1, 2]', 'a list of 1,000', 'a set of 1')
    """
    if _is_plain(given) or (isinstance(given, list | tuple) and given and all(map(_is_plain, given))):
        shown = repr(given)
        if len(shown) <= _BRIEF:
            return shown
        if isinstance(given, str | bytes):
            return shown[: _BRIEF - 1] + "…"
    kind = type(given).__name__
    size = f" of {len(given):,}" if isinstance(given, list | tuple | dict | set | frozenset) else ""
    return f"{'an' if kind[0] in 'aeiouAEIO' or kind == 'ndarray' else 'a'} {kind}{size}"


def _is_plain(given: object) -> bool:
    return given is None or isinstance(given, bool | int | float | complex | str | bytes)
