"""Who makes what on a Ray cluster: tasks are given to actors, and what an actor had that died is given to others.

Ray places the actors. One is always waiting for room, for a node that joins or in place of one that died. A part has
the same bytes whoever makes it, so nothing has to be undone. An actor is not restarted in its place (`max_restarts`),
since Ray keeps its calls for it: those of a node that does not come back would wait for ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from layerscope.engine.ahead import ahead
from layerscope.engine.vectors import Passed
from layerscope.errors import InputError, LayerscopeError, ModelError
from layerscope.extraction.attempts import DEATHS, Attempts
from layerscope.extraction.ray.actor import AT_ONCE, PartActor, Spec
from layerscope.extraction.tasks import Task
from layerscope.shown import first_line
from layerscope.store.part import Part

# References that an actor is given in a row, so that it reads on where it was.
_IN_A_ROW = 16

# Seconds: until the driver looks around anew, in which parts are made that are recorded together, and until actors
# that were ended are gone.
_LOOK, _TOGETHER, _ENDED = 1.0, 0.1, 10.0


@dataclass(eq=False)
class _Actor:
    """An actor, the nodes on which it may be or is, whether it is ready, what it is to do, and what it does."""

    handle: Any
    nodes: set[str]
    is_ready: bool = False
    waiting: deque[Attempts] = field(default_factory=deque)
    has: list[Attempts] = field(default_factory=list)

    @property
    def has_room(self) -> bool:
        """Whether it can be given more to do."""
        return self.is_ready and len(self.has) < AT_ONCE and not any(one.deaths for one in self.has)


class Scheduler:
    """Gives tasks to actors, and collects the parts that they make.

    Args:
        ray: the module.
        spec: what the actors are told.
        resources: what Ray reserves for each.
        room: for how many there is room.
        made: called with parts that were made.
        passed: called with their rows and tokens, and now and then with none; if it raises, the run ends.
    """

    def __init__(
        self,
        ray: Any,
        spec: Spec,
        resources: Mapping[str, int],
        room: int,
        made: Callable[[Sequence[Part]], None],
        passed: Passed,
    ) -> None:
        self._ray, self._room, self._made, self._passed = ray, room, made, passed
        self._class = ray.remote(PartActor).options(max_concurrency=AT_ONCE, **resources)
        self._spec, self._name = ray.put(spec), spec.extractor.recipe.source.name
        self._actors: list[_Actor] = []
        self._calls: dict[Any, tuple[_Actor, Attempts | None]] = {}  # None: it gets ready
        self._again: deque[Attempts] = deque()
        self._deaths = 0

    def make(self, tasks: Iterable[Task], references: int = 0) -> None:
        """Make all parts. So many tasks are references, which come in runs; those with rows are read one ahead."""
        failure: Exception | None = None  # of reading; what was read before is made
        is_end = False
        with ahead(tasks, 1) as read:
            try:
                while not is_end or self._again or any(one.has or one.waiting for one in self._actors):
                    if not is_end or self._again:
                        self._start()
                    is_given = False
                    for actor in sorted(self._actors, key=lambda one: len(one.has)):
                        if not actor.has_room or (is_given and not references):
                            continue  # a part that is made does not wait for more than one to be read
                        if not self._again and not actor.waiting and not is_end:
                            count = max(min(_IN_A_ROW, references // (2 * len(self._actors))), 1)
                            try:
                                actor.waiting.extend(map(Attempts, islice(read, count)))
                            except Exception as error:
                                failure = error
                            references -= len(actor.waiting)
                            is_end = not actor.waiting
                        is_given |= self._give(actor)
                    self._collect(0 if is_given else _LOOK)
                    self._passed(0, 0)
            finally:
                self._end()
        if failure is not None:
            raise failure

    def _start(self) -> None:
        """Start actors where there is room, and one that waits for room."""
        while len(self._actors) < self._room or all(actor.is_ready for actor in self._actors):
            actor = _Actor(self._class.remote(), self._alive())
            self._actors.append(actor)
            self._calls[actor.handle.begin.remote(self._spec)] = actor, None

    def _give(self, actor: _Actor) -> bool:
        """Give an actor what is next for it, if there is something; what others may have died of, it has alone."""
        waiting = self._again or actor.waiting
        if not waiting or (waiting[0].deaths and actor.has):
            return False
        attempts = waiting.popleft()
        actor.has.append(attempts)
        task, suspects = attempts.task, attempts.suspects
        try:
            call = actor.handle.make.remote(task, attempts.failed, suspects[0] if suspects else None)
        except TypeError as error:
            raise InputError(
                f"Rows {task.start} to {task.start + task.count - 1} of the corpus hold something that cannot be sent "
                "to another process; make texts of them."
            ) from error
        self._calls[call] = actor, attempts
        return True

    def _collect(self, patience: float) -> None:
        """Take in what the actors have done, if that is something within some seconds, and what follows soon."""
        calls = list(self._calls)
        if not self._ray.wait(calls, timeout=patience)[0]:
            return
        parts = []
        try:
            soon = min(patience, _TOGETHER)
            for call in self._ray.wait(calls, num_returns=len(calls), timeout=soon)[0]:
                if call not in self._calls:
                    continue  # of an actor that was found dead just now
                actor, attempts = self._calls.pop(call)
                try:
                    answer = self._ray.get(call)
                except self._ray.exceptions.RayTaskError as error:
                    if isinstance(error.cause, LayerscopeError) or attempts is not None:
                        raise error.cause from None
                    why = first_line(error.cause)
                    raise ModelError(f"A worker of the Ray cluster cannot begin: {why}") from error
                except self._ray.exceptions.RayError as error:
                    self._lost(actor, error)
                    continue
                if attempts is None:
                    actor.nodes, actor.is_ready, self._deaths = {answer}, True, 0
                    continue
                actor.has.remove(attempts)
                if not attempts.survived():
                    self._again.appendleft(attempts)
                elif answer is not None:
                    parts.append(answer)
        finally:
            if parts:
                self._made(parts)
        for part in parts:
            self._passed(part.rows, part.tokens)

    def _lost(self, actor: _Actor, error: Exception) -> None:
        """An actor died: what it had is made by others. A node that is gone, or out of reach, is no task's fault."""
        self._actors.remove(actor)
        self._calls = {call: own for call, own in self._calls.items() if own[0] is not actor}
        self._ray.kill(actor.handle)  # should it only have been out of reach
        is_out_of_reach = isinstance(error, self._ray.exceptions.ActorUnavailableError)
        if not is_out_of_reach and actor.nodes <= self._alive():
            self._deaths += not actor.is_ready
            for attempts in actor.has:
                attempts.died()
        self._again.extend([*actor.has, *actor.waiting])
        if self._deaths == DEATHS:
            raise ModelError(
                f"{DEATHS} workers of the Ray cluster died while they loaded {self._name}; most often that is for "
                "want of memory."
            )

    def _alive(self) -> set[str]:
        return {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}

    def _end(self) -> None:
        """Record what is made already, end the actors, and wait until they write no more."""
        with suppress(Exception):
            self._collect(0)
        for actor in self._actors:
            self._ray.kill(actor.handle)
        with suppress(Exception):
            self._ray.wait(list(self._calls), num_returns=len(self._calls), timeout=_ENDED)
