"""An actor of a Ray cluster: it loads the model, proves that it is the driver's, and makes parts."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import torch

from layerscope.engine.precision import cast, name_of
from layerscope.engine.replicas import Replicas
from layerscope.engine.vectors import nothing
from layerscope.errors import LayerscopeError, again
from layerscope.extraction.folder import Folder
from layerscope.extraction.local import make_here
from layerscope.extraction.maker import Maker
from layerscope.extraction.part import Part
from layerscope.extraction.parts import Todo
from layerscope.extraction.recipe import Recipe
from layerscope.reduce.pooling import POOLINGS, WEIGHTINGS


@dataclass(frozen=True, eq=False)
class Orders:
    """All that an actor has to know, small enough to be sent to each.

    Attributes:
        recipe: how it gets the model.
        network: the precision that it is to run in.
        device: "cuda" or "cpu".
        maker: the driver's, without its model.
        poolings, weightings: functions of the features' strategies: a user's own are unknown elsewhere.
        folder: where the parts go.
    """

    recipe: Recipe
    network: str
    device: str
    maker: Maker
    poolings: dict[str, Any]
    weightings: dict[str, Any]
    folder: Folder

    @classmethod
    def of(cls, ray: Any, recipe: Recipe, device: str, maker: Maker, folder: Folder) -> Orders:
        """What actors of this cluster are to be told; `device` is the driver's."""
        names = {feature.pooling for feature in maker.columns.features}
        nobody: Any = None
        has_gpus = device == "cuda" and ray.cluster_resources().get("GPU", 0) >= 1
        return cls(
            recipe=recipe,
            network=name_of(maker.model),
            device="cuda" if has_gpus else "cpu",
            maker=replace(maker, reader=replace(maker.reader, model=nobody), replicas=nobody),
            poolings={name: POOLINGS[name] for name in names & POOLINGS.keys()},
            weightings={name: WEIGHTINGS[name] for name in names & WEIGHTINGS.keys()},
            folder=folder,
        )


@dataclass(frozen=True)
class Said:
    """An error of ours on its way to the driver, as itself; Ray would wrap it."""

    kind: type[LayerscopeError]
    message: str

    def error(self) -> LayerscopeError:
        """The error itself."""
        return again(self.kind, self.message)


class FeatureWorker:
    """The actor: one `make_here` for all of its parts, fed as they come, so that it never stands still."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Todo | None] = queue.SimpleQueue()
        self._parts: dict[int, Future[Part]] = {}
        self._lock = threading.Lock()
        self._error: BaseException | None = None

    def begin(self, orders: Orders, threads: int) -> Said | None:
        """Load the model; says what is wrong with it."""
        torch.set_num_threads(threads)
        for known, sent in ((POOLINGS, orders.poolings), (WEIGHTINGS, orders.weightings)):
            known.update({name: function for name, function in sent.items() if name not in known})
        try:
            model = cast(orders.recipe.load(orders.device), orders.network)
        except LayerscopeError as error:
            return Said(type(error), str(error))
        maker = replace(
            orders.maker,
            reader=replace(orders.maker.reader, model=model),
            replicas=Replicas(model),
            budget=replace(orders.maker.budget),
        )
        threading.Thread(target=self._work, args=(maker, orders.folder, threads), daemon=True).start()
        return None

    def make(self, part: Todo) -> Part | Said:
        """Make a part and write it; returns when it lies in its place."""
        future: Future[Part] = Future()
        with self._lock:
            if self._error is None:
                self._parts[part.rows.start] = future
                self._waiting.put(part)
            else:
                future.set_exception(self._error)
        try:
            return future.result()
        except LayerscopeError as error:
            return Said(type(error), str(error))

    def _work(self, maker: Maker, folder: Folder, threads: int) -> None:
        torch.set_num_threads(threads)  # OpenMP counts for each thread on its own
        try:
            make_here(maker, iter(self._waiting.get, None), folder, self._made, nothing)
        except BaseException as error:
            with self._lock:
                self._error = error
                for future in self._parts.values():
                    future.set_exception(error)

    def _made(self, part: Part) -> None:
        with self._lock:
            self._parts.pop(part.start).set_result(part)
