"""Silence around the two libraries, and what was there before it restored."""

import threading
import warnings

from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from huggingface_hub.utils import logging as hub_logging
from transformers.utils import logging

from layerscope.errors import NewHeadWarning
from layerscope.quiet import quiet


def state() -> tuple[object, ...]:
    return (
        logging.get_verbosity(),
        hub_logging.get_verbosity(),
        logging.is_progress_bar_enabled(),
        are_progress_bars_disabled(),
        list(warnings.filters),
    )


def test_all_is_silent_within_and_as_before_afterwards() -> None:
    before = state()
    with quiet():
        assert not logging.is_progress_bar_enabled()
        assert are_progress_bars_disabled()
        assert logging.get_verbosity() == hub_logging.get_verbosity() == logging.CRITICAL
        warnings.warn("not heard", stacklevel=1)
        with quiet():
            pass
        assert are_progress_bars_disabled()
    assert state() == before


def test_bars_that_somebody_switched_off_stay_off() -> None:
    disable_progress_bars()
    try:
        with quiet():
            pass
        assert are_progress_bars_disabled()
        assert logging.is_progress_bar_enabled()
    finally:
        enable_progress_bars()


def test_our_own_notice_is_heard() -> None:
    with warnings.catch_warnings(record=True) as heard, quiet():
        warnings.warn("a head was made new", NewHeadWarning, stacklevel=1)
        warnings.warn("something else", stacklevel=1)
    assert [str(one.message) for one in heard] == ["a head was made new"]


def test_threads_that_overlap_leave_nothing_behind() -> None:
    before = state()
    inside, leave = threading.Event(), threading.Event()

    def longer() -> None:
        with quiet():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=longer)
    with quiet():
        thread.start()
        assert inside.wait(10)
    assert are_progress_bars_disabled()  # the other one is still at work
    leave.set()
    thread.join()
    assert state() == before
