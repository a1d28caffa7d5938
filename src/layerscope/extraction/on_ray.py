"""The parts of a corpus made by a Ray cluster: the driver reads and records, actors make parts and write them.

Each actor loads the model itself, proves that it is the driver's, and makes parts as `make_here` does, into the
folder that all machines share. The files are byte for byte those of the local engine where versions, device and
number of threads are the same, as they are on a cluster started here. Another number of threads adds in another
order: on a cluster, where an actor uses all free CPUs of its node, numbers may differ by about 1e-6.

Plain actors, not Ray Data: that reads a corpus in remote tasks, which it runs again from their beginning to make
a lost block anew, and an iterator that only the driver has can neither be sent nor be read again.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from layerscope.engine.vectors import Passed
from layerscope.errors import InputError, missing
from layerscope.extraction.crew import Crew, last_line
from layerscope.extraction.folder import Folder
from layerscope.extraction.local import Engine
from layerscope.extraction.maker import Maker
from layerscope.extraction.part import Part
from layerscope.extraction.parts import Todo
from layerscope.extraction.recipe import Recipe
from layerscope.extraction.worker import Orders

if TYPE_CHECKING:
    from layerscope.model import Model


# Seconds until a cluster must answer.
_ANSWER = 10.0


def on_ray(model: Model, address: str | None) -> Engine:
    """What makes parts on a Ray cluster: as `make_here`, but in any order.

    Args:
        model: as it was loaded; the actors load it from the same source.
        address: host:port of the cluster. Without one it is the cluster that this process is connected to, or
            that RAY_ADDRESS names; else one is started on this machine and ended with the run.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: no other machine could load this model; an address of the wrong kind.
    """
    ray = _ray()
    recipe = Recipe.of(model)
    if address is not None and "://" in address:
        raise InputError(
            f"{address} is a client's address; give host:port, or submit the script with: ray job submit"
        )

    def make(
        maker: Maker,
        parts: Iterable[Todo],
        folder: Folder,
        made: Callable[[Part], None],
        passed: Passed,
    ) -> None:
        iterator = iter(parts)
        first = next(iterator, None)
        if first is not None:  # nothing is started where nothing is to be done
            with _connected(ray, address):
                crew = Crew(ray, Orders.of(ray, recipe, model.device.type, maker, folder), made, passed)
                crew.make(chain([first], iterator))

    return make


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise missing("ray[data]") from error
    return ray


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """Be connected to a cluster; the user's own connection stays, one of ours ends, with what we started."""
    if ray.is_initialized():
        here = ray.get_runtime_context().gcs_address
        if address not in (None, "auto", here):
            raise InputError(
                f"This process is connected to the Ray cluster at {here}, not {address}: leave address out."
            )
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    _reach(address)
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    before = {name: value for name, value in os.environ.items() if _is_rays(name)}
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    worker = ray._private.worker
    prints = worker.print_to_stdstream
    worker.print_to_stdstream = _say_nothing  # it tells of workers that died, even with log_to_driver=False
    try:
        # As many CPUs as torch has threads here: then the bytes are those of the local engine.
        own = {"include_dashboard": False, "num_cpus": torch.get_num_threads()} if address == "local" else {}
        try:
            ray.init(address, log_to_driver=False, logging_level="CRITICAL", **own)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise InputError(f"There is no Ray cluster to be had at {address}: {last_line(error)}") from error
        yield
    finally:
        ray.shutdown()
        worker.print_to_stdstream = prints
        for name in [name for name in os.environ if _is_rays(name)]:
            del os.environ[name]
        os.environ.update(before)
        if is_main:
            signal.signal(signal.SIGTERM, handler)


def _say_nothing(*given: Any, **named: Any) -> None:
    """In place of a function that prints."""


def _is_rays(name: str) -> bool:
    return name.startswith("RAY_") or name == "PYTHONBREAKPOINT"


def _reach(address: str) -> None:
    """Raise if nobody listens at host:port; Ray itself would wait for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
    except OSError as error:
        raise InputError(f"No Ray cluster answers at {address}: {error.strerror or error}.") from error
