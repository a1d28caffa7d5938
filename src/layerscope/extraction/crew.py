"""The actors of a run on a Ray cluster: started where there is room, fed, replaced when they die."""

from __future__ import annotations

import math
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from layerscope.engine.vectors import Passed
from layerscope.errors import InputError, ModelError, StorageError
from layerscope.extraction.part import Part
from layerscope.extraction.parts import Todo
from layerscope.extraction.worker import FeatureWorker, Orders, Said

# Parts that an actor has at once: one that it passes, one that it reads ahead or writes behind.
_AT_ONCE = 2

# How often a part, or the loading of the model, may cost an actor its life.
_DEATHS = 3

# Seconds: between looks at the cluster, between looks at a reader that others wait for; until actors that
# were ended are gone, and until a file that was written on another machine must be seen here.
_LOOK, _SOON, _ENDED, _SEEN = 1.0, 0.05, 10.0, 10.0


@dataclass(eq=False)
class _Sent:
    """A part among the actors: its rows, where Ray keeps it, and how many actors died that had it."""

    start: int
    stop: int
    kept: Any
    deaths: int = 0


@dataclass(eq=False)
class _Hand:
    """An actor: on which node, whether it has the model, the parts that it has."""

    actor: Any
    node: str
    is_ready: bool = False
    parts: list[_Sent] = field(default_factory=list)


class Crew:
    """The actors of a run, as many as there is room for, and what each of them is doing."""

    def __init__(self, ray: Any, orders: Orders, made: Callable[[Part], None], passed: Passed) -> None:
        self._ray, self._orders, self._made, self._passed = ray, orders, made, passed
        self._kept = ray.put(orders)
        self._hands: list[_Hand] = []
        self._calls: dict[Any, tuple[_Hand, _Sent | None]] = {}  # None: it loads the model
        self._again: deque[_Sent] = deque()
        self._looked, self._alone = time.monotonic() - _LOOK, time.monotonic()
        self._deaths = 0

    def make(self, parts: Iterator[Todo]) -> None:
        """Make all parts. What is read is a part ahead of what is sent; what fails in reading is raised last."""
        with ThreadPoolExecutor(1, "layerscope-read") as pool:
            ahead: Future[Todo | None] = pool.submit(next, parts, None)
            try:
                while not self._is_end(ahead) or self._again or any(hand.parts for hand in self._hands):
                    if self._again or not self._is_end(ahead):
                        self._hire()
                    while self._again and (hand := self._free(1)):
                        self._send(hand, self._again.popleft())
                    is_there = ahead.done() and not self._is_end(ahead)
                    if is_there and not self._again and (hand := self._free(_AT_ONCE)):
                        self._send(hand, self._keep(ahead))
                        ahead = pool.submit(next, parts, None)
                    has_room = not self._again and self._free(_AT_ONCE) is not None
                    if has_room and not ahead.done():
                        wait([ahead], _SOON)
                    self._settle(0 if has_room and not self._is_end(ahead) else _LOOK)
                    self._passed(0, 0)
                ahead.result()
            finally:
                self._dismiss()

    @staticmethod
    def _is_end(ahead: Future[Todo | None]) -> bool:
        return ahead.done() and (ahead.exception() is not None or ahead.result() is None)

    def _keep(self, ahead: Future[Todo | None]) -> _Sent:
        part = ahead.result()
        assert part is not None
        stop = part.rows.start + len(part.rows)
        try:
            return _Sent(part.rows.start, stop, self._ray.put(part))
        except TypeError as error:
            raise InputError(
                f"Rows {part.rows.start} to {stop - 1} of the corpus hold something that cannot be sent to another "
                "process; make texts of them."
            ) from error

    def _free(self, most: int) -> _Hand | None:
        """The actor with the least to do, if it has less than `most`. A suspect is alone with its actor."""
        free = [
            hand
            for hand in self._hands
            if hand.is_ready and len(hand.parts) < most and not any(part.deaths for part in hand.parts)
        ]
        return min(free, key=lambda hand: len(hand.parts), default=None)

    def _send(self, hand: _Hand, part: _Sent) -> None:
        hand.parts.append(part)
        self._calls[hand.actor.make.remote(part.kept)] = hand, part

    def _settle(self, patience: float) -> None:
        """Take in what the actors have done, or wait for it a while."""
        if not self._calls:
            time.sleep(min(patience, _SOON))  # until there is room for an actor
            return
        for call in self._ray.wait(list(self._calls), timeout=patience)[0]:
            hand, part = self._calls.pop(call)
            try:
                answer = self._ray.get(call)
            except self._ray.exceptions.RayTaskError as error:
                if part is None:
                    raise ModelError(
                        f"A worker on the Ray cluster cannot begin: {last_line(error)}"
                    ) from error
                raise error.cause from error
            except self._ray.exceptions.RayError:
                self._lost(hand, part)
                return
            if isinstance(answer, Said):
                raise answer.error()
            if part is None:
                hand.is_ready, self._deaths = True, 0
            else:
                hand.parts.remove(part)
                self._lies_there(answer)
                self._made(answer)
                self._passed(answer.rows, answer.tokens)

    def _lost(self, hand: _Hand, part: _Sent | None) -> None:
        """An actor died: its parts are made by others, unless they are what kills."""
        self._hands.remove(hand)
        self._alone = time.monotonic()
        self._calls = {call: (other, own) for call, (other, own) in self._calls.items() if other is not hand}
        self._ray.kill(hand.actor)  # should it only have been out of reach
        self._again.extend(hand.parts)
        if hand.node not in {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}:
            return  # no part's fault
        if part is None:
            self._deaths += 1
            if self._deaths == _DEATHS:
                raise ModelError(
                    f"{_DEATHS} workers on the Ray cluster died while they loaded {self._orders.recipe.source.name}; "
                    "most often that is for want of memory."
                )
        for one in hand.parts:
            one.deaths += 1
            if one.deaths == _DEATHS:
                raise ModelError(
                    f"Rows {one.start} to {one.stop - 1} of the corpus killed the worker that made them {_DEATHS} "
                    "times; most often that is for want of memory. A smaller batch_tokens may help."
                )

    def _lies_there(self, part: Part) -> None:
        """Raise unless a part is to be seen from here; file systems over a network may take a while."""
        folder, end = self._orders.folder, time.monotonic() + _SEEN
        while folder.lost([part]):
            folder.files.invalidate_cache()
            if time.monotonic() > end:
                raise StorageError(
                    f"A worker wrote {part.file} to {folder.name}, and it is not there on this machine: engine='ray' "
                    "needs a folder or an object store that all machines share."
                )
            time.sleep(_SOON)

    def _hire(self) -> None:
        """Start actors where there is room: one a GPU, or one a node with all of its free CPUs."""
        if time.monotonic() < self._looked + _LOOK:
            return
        self._looked = time.monotonic()
        from ray._private.state import available_resources_per_node  # Ray's own libraries ask it, too

        kind = "GPU" if self._orders.device == "cuda" else "CPU"
        nodes = [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get(kind, 0) >= 1]
        if not nodes and not self._hands:
            raise InputError(f"The Ray cluster has no node with a {kind}.")
        available = available_resources_per_node()
        if not self._hands and time.monotonic() > self._alone + _ENDED:
            self._alone = math.inf
            warnings.warn(f"Every {kind} of the Ray cluster is taken; waiting for one.", stacklevel=2)
        for node in nodes:
            free = available.get(node["NodeID"], {})
            cpus = int(free.get("CPU", 0))
            here = [hand for hand in self._hands if hand.node == node["NodeID"]]
            if kind == "CPU":
                if cpus and not here:
                    self._start(node["NodeID"], cpus, 0)
                continue
            share = min(cpus, max(int(node["Resources"].get("CPU", 0) // node["Resources"]["GPU"]), 1))
            # What was just started may not be counted there yet.
            for _ in range(int(free.get("GPU", 0)) - sum(not hand.is_ready for hand in here)):
                self._start(node["NodeID"], share, 1)

    def _start(self, node: str, cpus: int, gpus: int) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # Retried by us, not by Ray: so that it is known which part an actor died of.
        actor = (
            self._ray.remote(FeatureWorker)
            .options(
                num_cpus=cpus,
                num_gpus=gpus,
                max_restarts=0,
                max_concurrency=_AT_ONCE + 1,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
            )
            .remote()
        )
        hand = _Hand(actor, node)
        self._hands.append(hand)
        self._calls[actor.begin.remote(self._kept, max(cpus, 1))] = hand, None

    def _dismiss(self) -> None:
        """Record what is made already, end the actors, and take away what they had begun to write."""
        with suppress(Exception):
            making = [call for call, (_, part) in self._calls.items() if part is not None]
            for call in (
                self._ray.wait(making, num_returns=max(len(making), 1), timeout=0)[0] if making else ()
            ):
                with suppress(self._ray.exceptions.RayError):
                    answer = self._ray.get(call)
                    if isinstance(answer, Part):
                        self._lies_there(answer)
                        self._made(answer)
        for hand in self._hands:
            self._ray.kill(hand.actor)
        with suppress(Exception):
            if self._calls:  # which fail when their actor has ended, and nothing more is written
                self._ray.wait(list(self._calls), num_returns=len(self._calls), timeout=_ENDED)
            self._orders.folder.sweep()


def last_line(error: BaseException) -> str:
    """The last line of what another library said."""
    return str(error).strip().splitlines()[-1]
