"""The connection to a Ray cluster, and what a run asks of it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from layerscope.corpus.corpus import Corpus
from layerscope.engine.vectors import Passed
from layerscope.errors import InputError, missing
from layerscope.extraction.extractor import Extractor, ExtractorRecipe
from layerscope.extraction.local import Engine
from layerscope.extraction.ray.actor import Spec
from layerscope.extraction.ray.scheduler import Scheduler
from layerscope.extraction.tasks import Task
from layerscope.loading.recipe import Recipe
from layerscope.shown import first_line
from layerscope.store.folder import Folder
from layerscope.store.manifest import NAME
from layerscope.store.part import Part

if TYPE_CHECKING:
    from layerscope.model import Model

# Seconds until a cluster must answer; Ray itself would wait for minutes.
_ANSWER = 10.0

# The share of a cluster's CPUs that are to have work.
_BUSY = 0.9


def on_ray(model: Model, corpus: Corpus, address: str | None) -> Engine:
    """What makes parts on a Ray cluster: as `make_here`, but in any order.

    Args:
        model: as it was loaded; the actors load it from the same source.
        corpus: what is read; by the actors themselves where it is seekable.
        address: host:port of the cluster. Without one it is the cluster that this process is connected to, or
            that RAY_ADDRESS names; else one is started on this machine and ended with the run.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: no other process could load this model; an address of the wrong kind.
    """
    try:
        import ray
    except ImportError as error:
        raise missing("ray") from error
    if address is not None and "://" in address:
        raise InputError(
            f"{address} is a client's address; give host:port, or submit the script with: ray job submit"
        )
    recipe = Recipe.of(model)  # at once, should nobody else be able to load it

    def make(
        extractor: Extractor,
        tasks: Iterable[Task],
        folder: Folder,
        made: Callable[[Sequence[Part]], None],
        passed: Passed,
    ) -> None:
        iterator = iter(tasks)
        if (first := next(iterator, None)) is None:
            return  # nothing is started where nothing is to be done
        with _connected(ray, address):
            resources, room = _room(ray, model.device.type)
            spec = Spec(
                extractor=ExtractorRecipe.of(extractor, recipe),
                device="cuda" if resources["num_gpus"] else "cpu",
                threads=max(resources["num_cpus"], 1),
                corpus=corpus if first.rows is None else None,
                folder=folder,
                manifest_sha256=folder.sum(folder.path(NAME))[1],
            )
            references = -(-(corpus.count or 0) // first.count) if first.rows is None else 0
            try:
                Scheduler(ray, spec, resources, room, made, passed).make(chain([first], iterator), references)
            finally:
                folder.sweep()

    return make


def _room(ray: Any, device: str) -> tuple[dict[str, int], int]:
    """What an actor reserves, a GPU and its share of CPUs or the CPUs of a node; and how many have room."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = [node for node in nodes if node.get("GPU", 0) >= 1]
    if device == "cuda" and gpus:
        share = min(int(node.get("CPU", 0) // node["GPU"]) for node in gpus)
        return {"num_gpus": 1, "num_cpus": share}, sum(int(node["GPU"]) for node in gpus)
    cpus = [int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1]
    if not cpus:
        raise InputError("The Ray cluster has no node with a CPU.")
    each = cpus_an_actor(cpus)
    return {"num_gpus": 0, "num_cpus": each}, sum(own // each for own in cpus)


def cpus_an_actor(cpus: Sequence[int]) -> int:
    """As many as a node has, of nodes with so many: the most that leave few without work, or else the fewest so.

    Each actor holds the model, so that a small node does not make the actors of all others small.

    >>> cpus_an_actor([2, 64, 64]), cpus_an_actor([2, 3])
    (64, 2)
    """
    busy = {own: sum(other // own * own for other in cpus) / sum(cpus) for own in cpus}
    return max(cpus, key=lambda own: (min(busy[own], _BUSY), own))


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
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
        except OSError as error:
            raise InputError(f"No Ray cluster answers at {address}: {error.strerror or error}.") from error
    # As many CPUs as torch has threads here: then the bytes are those of the local engine.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    own = {"include_dashboard": False, "num_cpus": torch.get_num_threads()} if address == "local" else {}
    try:
        ray.init(address, log_to_driver=False, logging_level="CRITICAL", **own)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(f"There is no Ray cluster to be had at {address}: {first_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()
