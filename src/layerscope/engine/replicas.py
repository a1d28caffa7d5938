"""Passes at the same time: copies of a model that share its weights, each with a thread of its own."""

from __future__ import annotations

import copy
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import torch

from layerscope.network.batching import Item, batches
from layerscope.network.kernels import fast_kernels
from layerscope.network.memory import Budget, give_back, is_out_of_memory
from layerscope.network.network import Network

T = TypeVar("T")
Batch = list[Item]

# On the CPU; more would wait for each other's Python. Two with a thread each pass a third more tokens than one
# with two threads: nobody waits at the end of each operation for the slower half.
_MOST = 4


class Replicas:
    """A model and its copies; made once, since each copy has modules of its own (and no weights).

    Attributes:
        model: the model itself, one of the replicas.
    """

    def __init__(self, model: Network, count: int | None = None) -> None:
        """As many as this thread has threads to compute with, at most four; one on other devices than the CPU."""
        self.model = model
        self._threads = torch.get_num_threads()
        most = min(self._threads, _MOST) if model.device.type == "cpu" else 1
        self._count = most if count is None else count
        self._idle: queue.SimpleQueue[Network] | None = None

    def passes(
        self, items: Sequence[Item], budget: Budget, one: Callable[[Network, Batch], T]
    ) -> Iterator[tuple[Batch, T]]:
        """Batches of items, longest first, and what `one` pass makes of each, in their order.

        A batch that does not fit the memory is divided, with all that are still to come.

        Raises:
            MemoryError: not even one item fits.
        """
        idle = self._models()

        def work(batch: Batch) -> T | None:
            model = idle.get()
            try:
                with fast_kernels():
                    return one(model, batch)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            finally:
                idle.put(model)
            return None

        waiting = deque(batches(items, self.model.tokens_at_once(budget.tokens)))
        running: deque[tuple[Batch, Future[T | None]]] = deque()
        each = max(self._threads // self._count, 1)
        try:
            with ThreadPoolExecutor(
                self._count, "layerscope-pass", initializer=torch.set_num_threads, initargs=(each,)
            ) as pool:
                while waiting or running:
                    while waiting and len(running) <= self._count:
                        batch = waiting.popleft()
                        running.append((batch, pool.submit(work, batch)))
                    batch, future = running.popleft()
                    result = future.result()
                    if result is not None:
                        yield batch, result
                        continue
                    if len(batch) == 1:
                        raise MemoryError(len(batch[0].window))
                    budget.halve(tried=batch[0].size * len(batch))
                    give_back()
                    if self.model.device.type == "cuda":
                        torch.cuda.empty_cache()
                    waiting = deque(
                        batches(
                            [*batch, *(item for rest in waiting for item in rest)],
                            self.model.tokens_at_once(budget.tokens),
                        )
                    )
        finally:
            torch.set_num_threads(self._threads)  # the threads' setting is MKL's for the whole process

    def _models(self) -> queue.SimpleQueue[Network]:
        """The models that have nothing to do."""
        if self._idle is None:
            self._idle = queue.SimpleQueue()
            self._idle.put(self.model)
            self.model.sites()  # found once for all of them
            for _ in range(self._count - 1):
                self._idle.put(_sharing(self.model))
        return self._idle


def _sharing(model: Network) -> Network:
    """A model with modules, hooks and a lock of its own, and the same parameters and buffers."""
    shared: dict[int, Any] = {id(tensor): tensor for tensor in model.hf.parameters()}
    shared |= {id(tensor): tensor for tensor in model.hf.buffers()}
    return replace(model, hf=copy.deepcopy(model.hf, shared), lock=threading.RLock())


def batch_tokens(model: Network) -> int:
    """Tokens a batch, by the machine alone, so that a run can be taken up with the same batches."""
    if model.device.type == "cpu":
        return 2048
    # A wider model needs more memory a token; what does not fit is halved.
    return max(2048, min(1 << 16, (1 << 16) * 768 // model.hidden_size))
