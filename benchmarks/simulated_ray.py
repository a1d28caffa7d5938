"""A Ray cluster by discrete events: its actors make parts that cost nothing, in a time of their own.

What the scheduler asks of the module ray, and no more. Time is virtual: each part takes an actor some seconds, and
so do the driver's own doings, by the wall clock; where it waits, the clock jumps to the next event.
"""

import heapq
import itertools
import random
import time
from types import SimpleNamespace

from layerscope.store.part import Part, part_file

TOKENS, SHA256 = 120, "0123456789abcdef" * 4


class RayError(Exception):
    pass


class RayTaskError(RayError):
    pass


class ActorUnavailableError(RayError):
    pass


class Call:
    """What `remote` gives."""

    __slots__ = ("answer",)


class Cluster:
    """In place of the module ray.

    Args:
        workers: actors that there is room for.
        seconds: that a part takes an actor, about.
        deaths: how many parts are made for one at which the actor dies.
        folder: where the files of parts are touched.
        a_reference: seconds that Ray itself takes to look at a reference in `wait`, as was measured.
    """

    exceptions = SimpleNamespace(
        RayError=RayError, RayTaskError=RayTaskError, ActorUnavailableError=ActorUnavailableError
    )

    def __init__(self, workers, seconds, deaths, folder, a_reference):
        self.workers, self.seconds, self.deaths, self.folder = workers, seconds, deaths, folder
        self.a_reference = a_reference
        self.chance, self.events, self.order = random.Random(0), [], itertools.count()
        self.clock, self.busy, self.since = 0.0, 0.0, time.perf_counter()
        self.placed, self.queue, self.finished = 0, [], []
        self.made = self.died = 0

    def put(self, value):
        return value

    def remote(self, kind):
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda: Actor(self)))

    def nodes(self):
        return [{"NodeID": "node", "Alive": True}]

    def kill(self, actor):
        if not actor.is_dead and actor.is_placed:
            self.placed -= 1
        actor.is_dead = True

    def at(self, seconds, what):
        heapq.heappush(self.events, (seconds, next(self.order), what))

    def done(self, call, answer):
        call.answer = answer
        self.finished.append(call)

    def wait(self, calls, num_returns=1, timeout=None):
        now = time.perf_counter()
        cost = now - self.since + self.a_reference * len(calls)
        self.busy += cost
        self.clock += cost
        end = self.clock + timeout
        self.run(self.clock)
        while len(self.finished) < num_returns and self.events and self.events[0][0] <= end:
            self.clock = max(self.clock, self.events[0][0])
            self.run(self.clock)
        if len(self.finished) < num_returns:
            self.clock = max(self.clock, end)
        finished = self.finished[:num_returns]
        if num_returns > 1:
            self.finished = self.finished[num_returns:]
        self.since = time.perf_counter()
        return finished, []

    def run(self, until):
        while self.events and self.events[0][0] <= until:
            seconds, _, what = heapq.heappop(self.events)
            what(seconds)
        while self.queue and self.placed < self.workers:
            self.queue.pop(0)(until)

    def get(self, call):
        if isinstance(call.answer, Exception):
            raise call.answer
        return call.answer


class Actor:
    """An actor that does one call after the other."""

    def __init__(self, cluster):
        self.cluster, self.calls, self.is_busy = cluster, [], False
        self.is_dead = self.is_placed = False
        self.begin = SimpleNamespace(remote=self._begin)
        self.make = SimpleNamespace(remote=self._make)

    def _begin(self, spec):
        call = Call()

        def place(now):
            if self.is_dead:
                return
            self.cluster.placed += 1
            self.is_placed = True

            def ready(_):
                self.cluster.done(call, "node")

            self.cluster.at(now + self.cluster.chance.uniform(5, 15), ready)

        self.cluster.queue.append(place)
        return call

    def _make(self, task, failed, suspects):
        call = Call()
        self.calls.append((task, call))
        if not self.is_busy:
            self._next(self.cluster.clock)
        return call

    def _next(self, now):
        cluster, self.is_busy = self.cluster, bool(self.calls)
        if self.calls and not self.is_dead:
            cluster.at(now + cluster.seconds * cluster.chance.uniform(0.8, 1.2), self._done)

    def _done(self, now):
        cluster = self.cluster
        if self.is_dead:
            return
        if cluster.chance.randrange(cluster.deaths) == 0:
            cluster.died += 1
            cluster.kill(self)
            for _, call in self.calls:
                cluster.done(call, RayError("died"))
            return
        task, call = self.calls.pop(0)
        answer = None
        if task.before is None:
            cluster.made += 1
            file = part_file(task.number)
            (cluster.folder / file).touch()
            answer = Part(file, task.start, task.count, task.count * TOKENS, 0, 0, SHA256, SHA256)
        cluster.done(call, answer)
        self._next(now)
