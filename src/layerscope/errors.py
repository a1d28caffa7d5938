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
from collections.abc import Iterable


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
    """An optional package that is not installed; the message names the extra."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"This needs {package}, which is not installed. Install it with: pip install 'layerscope[{extra}]'"
        )


class NewHeadWarning(UserWarning):
    """A head that the checkpoint has no weights for was made new; until fine-tuned it gives noise."""


def again(kind: type[LayerscopeError], message: str) -> LayerscopeError:
    """An error of a kind with a message of its own, whatever arguments the kind makes its messages of."""
    return kind.__new__(kind, message)


def unknown(what: str, given: object, known: Iterable[str]) -> InputError:
    """An error for a name that is not known: it lists the known ones and the nearest."""
    names = list(known)
    near = difflib.get_close_matches(str(given), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return InputError(f"Unknown {what} {given!r}; known: {', '.join(names)}.{hint}")
