"""Keeping the bars, log lines and warnings of transformers and huggingface_hub out of a user's terminal."""

from __future__ import annotations

import logging as standard_logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from layerscope.errors import LeftOutHeadWarning, NewHeadWarning

_lock = threading.Lock()
_inside = 0
_restore = ExitStack()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the two libraries and Python's warnings; as they were afterwards.

    What matters in them is said by our own errors and notices. All of it belongs to the whole process, so
    that of several threads the first one in silences and the last one out restores.
    """
    global _inside
    with _lock:
        if _inside == 0:
            _silence(_restore)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _restore.close()


def _silence(restore: ExitStack) -> None:
    restore.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")  # in a notebook without widgets, importing them warns too
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging

    for ours in (NewHeadWarning, LeftOutHeadWarning):  # of another thread: to be heard
        warnings.simplefilter("default", ours)
    libraries: tuple[Any, ...] = (logging, hub_logging)
    for library in libraries:
        restore.callback(library.set_verbosity, library.get_verbosity())
        library.set_verbosity(standard_logging.CRITICAL)
    restore.callback(disable_progress_bars if are_progress_bars_disabled() else enable_progress_bars)
    if logging.is_progress_bar_enabled():
        restore.callback(
            logging.enable_progress_bar
        )  # which shows the other library's too: undone by the line above
    logging.disable_progress_bar()
    disable_progress_bars()
