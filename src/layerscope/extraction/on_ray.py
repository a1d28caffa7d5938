"""The parts of a corpus made by a Ray cluster: the driver reads and records, actors make parts and write them.

Each actor loads the model itself, proves that it is the driver's, and makes parts as `make_here` does, into the
folder that all machines share. The files are byte for byte those of the local engine where versions, device and
number of threads are the same, as they are on a cluster started here. Another number of threads adds in another
order: on a cluster, where an actor uses all free CPUs of its node, numbers may differ by about 1e-6.

Plain actors, not Ray Data: that reads a corpus in remote tasks, which it runs again from their beginning to make
a lost block anew, and an iterator that only the driver has can neither be sent nor be read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import signal
import socket
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from layerscope.errors import InputError, LayerscopeError, MissingExtraError, ModelError, StorageError
from layerscope.extraction.folder import Folder
from layerscope.extraction.identity import identity
from layerscope.extraction.local import make_here
from layerscope.extraction.maker import Maker
from layerscope.extraction.manifest import Part
from layerscope.extraction.parts import Todo
from layerscope.extraction.precision import cast, name_of
from layerscope.loading.bundled import NAME
from layerscope.loading.checkpoint import load
from layerscope.reduce.pooling import POOLINGS, WEIGHTINGS
from layerscope.source import Source

if TYPE_CHECKING:
    from layerscope.extraction.extract import Engine
    from layerscope.model import Model

# Parts that an actor has at once: one that it passes, one that it reads ahead or writes behind.
_AT_ONCE = 2

# How often a part, or the loading of the model, may cost an actor its life.
_DEATHS = 3

# Seconds: between looks at the cluster, between looks at a reader that others wait for; until a cluster must
# answer, and until a file that was written on another machine must be seen here.
_LOOK, _SOON, _ANSWER, _SEEN = 1.0, 0.05, 10.0, 10.0

_NEEDS = "engine='ray' needs a model that every machine can load: a Hub id, or a path on a shared folder."


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
    if model.source.folder is None:
        raise InputError(f"{model.name} was not loaded by Layerscope. {_NEEDS}")
    if address is not None and "://" in address:
        raise InputError(
            f"{address} is a client's address; give host:port, or submit the script with: ray job submit"
        )

    def make(
        maker: Maker,
        parts: Iterable[Todo],
        folder: Folder,
        made: Callable[[Part], None],
        passed: Callable[[int], None],
    ) -> None:
        iterator = iter(parts)
        first = next(iterator, None)
        if first is not None:  # nothing is started where nothing is to be done
            with _connected(ray, address):
                crew = _Crew(ray, _Orders.of(ray, model, maker, folder), made, passed)
                crew.make(chain([first], iterator))

    return make


@dataclass(frozen=True, eq=False)
class _Orders:
    """All that an actor has to know, small enough to be sent to each.

    Attributes:
        source: of the model, its paths absolute.
        trusted: whether the user let code from the checkpoint run.
        dtype: the torch dtype that it was loaded in.
        network: the precision that it is to run in.
        device: "cuda" or "cpu".
        proof: what the model must be, see `_proof`.
        maker: the driver's, without its model.
        poolings, weightings: functions of the features' strategies: a user's own are unknown elsewhere.
    """

    source: Source
    trusted: bool
    dtype: Any
    network: str
    device: str
    proof: dict[str, Any]
    maker: Maker
    poolings: dict[str, Any]
    weightings: dict[str, Any]
    folder: Folder

    @classmethod
    def of(cls, ray: Any, model: Model, maker: Maker, folder: Folder) -> _Orders:
        names = {feature.pooling for feature in maker.columns.features}
        source = model.source
        assert source.folder is not None
        nothing: Any = None
        has_gpus = model.device.type == "cuda" and ray.cluster_resources().get("GPU", 0) >= 1
        return cls(
            source=replace(
                source,
                folder=source.folder.absolute(),
                weights=tuple(path.absolute() for path in source.weights),
            ),
            trusted=any(
                type(one).__module__.startswith("transformers_modules.")
                for one in (model.hf, model.tokenizer)
            ),
            dtype=model.hf.dtype,
            network=name_of(maker.model),
            device="cuda" if has_gpus else "cpu",
            proof=_proof(model),
            maker=replace(maker, model=nothing),
            poolings={name: POOLINGS[name] for name in names & POOLINGS.keys()},
            weightings={name: WEIGHTINGS[name] for name in names & WEIGHTINGS.keys()},
            folder=folder,
        )

    def load(self) -> Model:
        """The model, the same as the driver's before it was cast.

        Raises:
            LayerscopeError: it cannot be loaded here, or is another.
        """
        source = self.source
        options: dict[str, Any] = {
            "dtype": self.dtype,
            "device": self.device,
            "trust_remote_code": self.trusted,
        }
        suffixes = {path.suffix.lower() for path in source.weights}
        place: Path | str | None = source.folder
        if source.name == NAME and source.revision is None:
            place = None
        elif ".gguf" in suffixes:
            place = source.weights[0]
        elif source.revision is not None and not (
            source.folder and (source.folder / "config.json").is_file()
        ):
            place, options["revision"] = source.name, source.revision
        try:
            # Its weights are pickles only if the user allowed them.
            model = load(place, allow_pickle=".bin" in suffixes, **options)
        except LayerscopeError as error:
            raise type(error)(f"On a machine of the Ray cluster: {error} {_NEEDS}") from error
        model = replace(model, source=source)
        found = _proof(model)
        other = [name for name, value in self.proof.items() if found[name] != value]
        if other:
            raise InputError(
                f"What a machine of the Ray cluster loads as {source.name} is not the model here: {other[0]} is "
                f"{found[other[0]]}, and here {self.proof[other[0]]}. {_NEEDS}"
            )
        return model


def _proof(model: Model) -> dict[str, Any]:
    """What must be equal for two models to give the same rows: more than what identifies them in a manifest."""
    config = {
        name: value
        for name, value in model.hf.config.to_dict().items()
        if name not in ("_name_or_path", "transformers_version")
    }
    return {
        **identity(model),
        "context_window": model.context_window,
        "dtype": name_of(model),
        "attention": getattr(model.hf.config, "_attn_implementation", None),
        "configuration_sha256": _sha256(json.dumps(config, sort_keys=True, default=str)),
        "modules_sha256": _sha256(repr(model.hf)),
    }


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class _Said:
    """An error of ours on its way to the driver, as itself; Ray would wrap it."""

    kind: type[LayerscopeError]
    message: str

    def error(self) -> LayerscopeError:
        return self.kind.__new__(
            self.kind, self.message
        )  # the arguments of its own __init__ are not known here


class FeatureWorker:
    """The actor: one `make_here` for all of its parts, fed as they come, so that it never stands still."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Todo | None] = queue.SimpleQueue()
        self._parts: dict[int, Future[Part]] = {}
        self._lock = threading.Lock()
        self._error: BaseException | None = None

    def begin(self, orders: _Orders, threads: int) -> _Said | None:
        """Load the model; says what is wrong with it."""
        torch.set_num_threads(threads)
        for known, sent in ((POOLINGS, orders.poolings), (WEIGHTINGS, orders.weightings)):
            known.update({name: function for name, function in sent.items() if name not in known})
        try:
            model = cast(orders.load(), orders.network)
        except LayerscopeError as error:
            return _Said(type(error), str(error))
        maker = replace(orders.maker, model=model, budget=replace(orders.maker.budget))
        threading.Thread(target=self._work, args=(maker, orders.folder, threads), daemon=True).start()
        return None

    def make(self, part: Todo) -> Part | _Said:
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
            return _Said(type(error), str(error))

    def _work(self, maker: Maker, folder: Folder, threads: int) -> None:
        torch.set_num_threads(threads)  # OpenMP counts for each thread on its own
        try:
            make_here(maker, iter(self._waiting.get, None), folder, self._made, lambda tokens: None)
        except BaseException as error:
            with self._lock:
                self._error = error
                for future in self._parts.values():
                    future.set_exception(error)

    def _made(self, part: Part) -> None:
        with self._lock:
            self._parts.pop(part.start).set_result(part)


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


class _Crew:
    """The actors of a run, as many as there is room for, and what each of them is doing."""

    def __init__(
        self, ray: Any, orders: _Orders, made: Callable[[Part], None], passed: Callable[[int], None]
    ) -> None:
        self._ray, self._orders, self._made, self._passed = ray, orders, made, passed
        self._kept = ray.put(orders)
        self._hands: list[_Hand] = []
        self._calls: dict[Any, tuple[_Hand, _Sent | None]] = {}  # None: it loads the model
        self._again: deque[_Sent] = deque()
        self._looked = self._began = time.monotonic() - _LOOK
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
                    has_room = self._free(_AT_ONCE) is not None
                    if has_room and not ahead.done():
                        wait([ahead], _SOON)
                    self._settle(0 if has_room and not self._is_end(ahead) else _LOOK)
                    self._passed(0)
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
                        f"A worker on the Ray cluster cannot begin: {_last_line(error)}"
                    ) from error
                raise error.cause from error
            except self._ray.exceptions.RayError:
                self._lost(hand, part)
                return
            if isinstance(answer, _Said):
                raise answer.error()
            if part is None:
                hand.is_ready, self._deaths = True, 0
            else:
                hand.parts.remove(part)
                self._lies_there(answer)
                self._made(answer)
                self._passed(answer.tokens)

    def _lost(self, hand: _Hand, part: _Sent | None) -> None:
        """An actor died: its parts are made by others, unless they are what kills."""
        self._hands.remove(hand)
        self._calls = {call: (other, own) for call, (other, own) in self._calls.items() if other is not hand}
        self._ray.kill(hand.actor)  # should it only have been out of reach
        self._again.extend(hand.parts)
        if hand.node not in {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}:
            return  # no part's fault
        if part is None:
            self._deaths += 1
            if self._deaths == _DEATHS:
                raise ModelError(
                    f"{_DEATHS} workers on the Ray cluster died while they loaded {self._orders.source.name}; most "
                    "often that is for want of memory."
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
        if not self._hands and self._began and time.monotonic() > self._began + _ANSWER:
            self._began = 0.0
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
                self._ray.wait(list(self._calls), num_returns=len(self._calls), timeout=_ANSWER)
            for place in self._orders.folder._leftovers():
                self._orders.folder.files.rm_file(place)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "ray") from error
    return ray


def _last_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[-1]


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
            raise InputError(
                f"There is no Ray cluster to be had at {address}: {_last_line(error)}"
            ) from error
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
