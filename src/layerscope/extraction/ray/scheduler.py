"""Who makes what on a Ray cluster: tasks are dealt to actors; what an actor had that died is dealt again.

Ray places the actors, as many as there is room for: one is always waiting, for a node that joins, or for the place
of one that died. Parts have the same bytes whoever makes them, so that nothing has to be undone. An actor is not
restarted in place (`max_restarts`): Ray keeps its calls for it, and where its node does not return they wait for ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NoReturn

from layerscope.engine.vectors import Passed
from layerscope.errors import InputError, LayerscopeError, ModelError
from layerscope.extraction.ray.actor import PartActor, Spec
from layerscope.extraction.tasks import Task
from layerscope.shown import first_line
from layerscope.store.part import Part

# Tasks that an actor has at once; references that it is given in a row.
_AT_ONCE, _IN_A_ROW = 2, 16

# How often a part, or the loading of the model, may cost an actor its life; rows that are then tried together.
_DEATHS, _TRIED = 3, 64

# Seconds: until the driver looks around anew, until it looks at a reader anew, until actors have ended.
_LOOK, _SOON, _ENDED = 1.0, 0.05, 10.0

_KILLS = "a worker of the Ray cluster dies of it again and again; most often that is for want of memory"
_ALL_KILL = (
    "a worker of the Ray cluster dies of the rows of its part together; a smaller batch_tokens may help"
)


@dataclass(eq=False)
class _Dealt:
    """A task: where Ray keeps it, how often an actor died of it, ranges of rows that may be why, rows that are."""

    task: Task
    kept: Any
    deaths: int = 0
    suspects: deque[range] = field(default_factory=deque)
    failed: dict[int, str] = field(default_factory=dict)

    def died(self) -> None:
        """An actor died of it: after some deaths ranges of its rows are tried, then rows; a row that kills fails."""
        if self.suspects:
            rows = self.suspects.popleft()
            if len(rows) > 1:
                self.suspects.extendleft(range(row, row + 1) for row in reversed(rows))
            else:
                self._fail(rows, _KILLS)
            return
        self.deaths += 1
        if self.deaths == _DEATHS:
            rows = range(self.task.start, self.task.start + self.task.count)
            self.suspects.extend(rows[at : at + _TRIED] for at in range(0, len(rows), _TRIED))
        elif self.deaths == _DEATHS + 1:
            self._fail(range(self.task.start, self.task.start + self.task.count), _ALL_KILL)
        elif self.deaths > _DEATHS + 1:
            raise ModelError(
                f"Rows {self.task.start} to {self.task.start + self.task.count - 1} of the corpus cannot even be read "
                "by a worker of the Ray cluster without its death; most often that is for want of memory."
            )

    def _fail(self, rows: range, why: str) -> None:
        self.failed.update(dict.fromkeys(rows, why))


@dataclass(eq=False)
class _Actor:
    """An actor: its node once it is ready, the tasks that it is to have, and those that it has."""

    handle: Any
    node: str | None = None
    waiting: deque[_Dealt] = field(default_factory=deque)
    has: list[_Dealt] = field(default_factory=list)

    @property
    def has_room(self) -> bool:
        """Whether it can be given another task."""
        return self.node is not None and len(self.has) < _AT_ONCE and not any(one.deaths for one in self.has)


class Scheduler:
    """Deals tasks to actors, and collects the parts that they make.

    Args:
        ray: the module.
        spec: what the actors are told.
        resources: what Ray reserves for each.
        room: how many are started; then one more is always waiting.
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
        self._ray, self._spec, self._made, self._passed = ray, ray.put(spec), made, passed
        self._class = ray.remote(PartActor).options(max_concurrency=_AT_ONCE, **resources)
        self._name = spec.extractor.recipe.source.name
        self._actors: list[_Actor] = []
        self._room = room
        self._calls: dict[Any, tuple[_Actor, _Dealt | None]] = {}  # None: it gets ready
        self._again: deque[_Dealt] = deque()
        self._deaths = 0

    def make(self, tasks: Iterator[Task], references: int = 0) -> None:
        """Make all parts. Tasks with rows are read one ahead; of so many references each actor gets some in a row."""
        with ThreadPoolExecutor(1, "layerscope-read") as pool:

            def read(left: int) -> tuple[list[Task], int]:
                count = max(min(_IN_A_ROW, left // (2 * len(self._actors) + 1)), 1)
                return list(islice(tasks, count)), left - count

            reading = pool.submit(read, references)
            try:
                while True:
                    is_end = reading.done() and (reading.exception() is not None or not reading.result()[0])
                    if is_end and not self._again and not any(one.has or one.waiting for one in self._actors):
                        break
                    while (self._again or not is_end) and self._has_place():
                        self._start()
                    is_sent = False
                    for actor in self._actors:
                        if (
                            actor.has_room
                            and not self._again
                            and not actor.waiting
                            and not is_end
                            and reading.done()
                        ):
                            found, left = reading.result()
                            actor.waiting.extend(map(self._deal, found))
                            reading = pool.submit(read, left)
                        is_sent |= self._send(actor)
                    self._collect(0 if is_sent else _LOOK if reading.done() else _SOON)
                    self._passed(0, 0)
                reading.result()  # raises what went wrong in reading
            finally:
                self._end()

    def _has_place(self) -> bool:
        return len(self._actors) < self._room or all(actor.node for actor in self._actors)

    def _start(self) -> None:
        """One actor more: Ray places it, now or when there is room."""
        actor = _Actor(self._class.remote())
        self._actors.append(actor)
        self._calls[actor.handle.begin.remote(self._spec)] = actor, None

    def _deal(self, task: Task) -> _Dealt:
        try:
            return _Dealt(task, task if task.rows is None else self._ray.put(task))
        except TypeError as error:
            raise InputError(
                f"Rows {task.start} to {task.start + task.count - 1} of the corpus hold something that cannot be sent "
                "to another process; make texts of them."
            ) from error

    def _send(self, actor: _Actor) -> bool:
        """Give an actor what is next, if there is something for it; what others died of, it gets alone."""
        waiting = self._again or actor.waiting
        if not waiting or not actor.has_room or (waiting[0].deaths and actor.has):
            return False
        dealt = waiting.popleft()
        actor.has.append(dealt)
        if dealt.suspects:
            call = actor.handle.run.remote(dealt.kept, dealt.suspects[0], dealt.failed)
        else:
            call = actor.handle.make.remote(dealt.kept, dealt.failed)
        self._calls[call] = actor, dealt
        return True

    def _collect(self, patience: float) -> None:
        """Take in all that the actors have done, or wait for it a while."""
        if not self._ray.wait(list(self._calls), timeout=patience)[0]:
            return
        parts = []
        try:
            for call in self._ray.wait(list(self._calls), num_returns=len(self._calls), timeout=0)[0]:
                if call not in self._calls:
                    continue  # of an actor that was found dead just now
                actor, dealt = self._calls.pop(call)
                try:
                    answer = self._ray.get(call)
                except self._ray.exceptions.RayTaskError as error:
                    self._raise(error.cause, dealt)
                except self._ray.exceptions.RayError:
                    self._lost(actor)
                    continue
                if dealt is None:
                    actor.node, self._deaths = answer, 0
                    continue
                actor.has.remove(dealt)
                if dealt.suspects:
                    dealt.suspects.popleft()
                    self._again.appendleft(dealt)
                elif answer is not None:
                    parts.append(answer)
        finally:
            if parts:
                self._made(parts)
        for part in parts:
            self._passed(part.rows, part.tokens)

    def _raise(self, error: BaseException, dealt: _Dealt | None) -> NoReturn:
        if isinstance(error, LayerscopeError) or dealt is not None:
            raise error
        raise ModelError(f"A worker of the Ray cluster cannot begin: {first_line(error)}") from error

    def _lost(self, actor: _Actor) -> None:
        """An actor died: what it had is made by others. A node that is gone is no task's fault."""
        self._actors.remove(actor)
        self._calls = {call: own for call, own in self._calls.items() if own[0] is not actor}
        self._ray.kill(actor.handle)  # should it only have been out of reach
        self._again.extend([*actor.has, *actor.waiting])
        if actor.node is None:
            self._deaths += 1
            if self._deaths == _DEATHS:
                raise ModelError(
                    f"{_DEATHS} workers of the Ray cluster died while they loaded {self._name}; most often that is "
                    "for want of memory."
                )
        elif actor.node in {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}:
            for dealt in actor.has:
                dealt.died()

    def _end(self) -> None:
        """Record what is made already, end the actors, and wait until they write no more."""
        with suppress(Exception):
            self._collect(0)
        for actor in self._actors:
            self._ray.kill(actor.handle)
        with suppress(Exception):
            self._ray.wait(list(self._calls), num_returns=len(self._calls), timeout=_ENDED)
