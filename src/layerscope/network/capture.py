"""The only hooks: tensors caught as they pass through the network, the pass stopped when all are in; others put in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

import torch

from layerscope.errors import LayerscopeError, ModelError
from layerscope.network.memory import is_out_of_memory
from layerscope.quiet import quiet
from layerscope.shown import first_line

Side = Literal["in", "out"]
Path = tuple[int | str, ...]
Key = tuple[str, int]
See = Callable[[str, int, Side, Any], None]
Take = Callable[[Key, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Site:
    """Where a tensor passes: what goes into, or comes out of, the `call`-th call of a module.

    Attributes:
        module: its name in the network, "" for the network itself.
        call: counted from 0 within one pass, for blocks that are shared between layers (ALBERT).
        side: "in" or "out".
        path: how to reach the tensor in a nest of tuples and dictionaries.
        stream: the axis of parallel residual streams, of which the first is taken; None where there is one stream.
        part: which of how many equal parts of the last axis, where several outputs stand side by side; None for all.
    """

    module: str
    call: int
    side: Side
    path: Path = ()
    stream: int | None = None
    part: tuple[int, int] | None = None

    @property
    def is_reported(self) -> bool:
        """Whether it is the network's own output, for which the pass must run to the end."""
        return self.module == ""

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor [text, …] in what passes here."""
        tensor = tensor if self.stream is None else tensor.select(self.stream, 0)
        return tensor if self.part is None else tensor.chunk(self.part[1], dim=-1)[self.part[0]]


class _Stop(Exception):  # noqa: N818 (no error: all that was wanted has passed)
    """Ends a forward pass from within."""


@cache
def _one_thread_in_forks() -> None:
    """A process that is forked from here computes with one thread: the threads of the pool are not there any more.

    Without this, its first product would wait for them for good.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))


def call(hf: Any, inputs: Mapping[str, Any]) -> Any:
    """One forward pass.

    Raises:
        ModelError: the network raised an error; the message says which, and on what it was run.
        RuntimeError, MemoryError: the memory is too small, for which a smaller batch may help.
    """
    _one_thread_in_forks()
    try:
        return hf(**inputs)
    except (_Stop, LayerscopeError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        ran = ", ".join(
            f"{name} {list(one.shape)}" for name, one in inputs.items() if isinstance(one, torch.Tensor)
        )
        raise ModelError(
            f"{type(hf).__name__} raised {type(error).__name__} when it was run on {ran}: {first_line(error)}"
        ) from error


def tensors(value: Any, path: Path = ()) -> Iterator[tuple[Path, torch.Tensor]]:
    """The tensors in a nest of tuples, lists and dictionaries, and how to reach each."""
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from tensors(inner, (*path, key))
    elif isinstance(value, tuple | list):
        for index, inner in enumerate(value):
            yield from tensors(inner, (*path, index))


@contextmanager
def watch(hf: Any, modules: Iterable[str] | None, see: See) -> Iterator[None]:
    """Call `see(module, call, side, value)` whenever one of these modules, or any if None, is entered or left.

    `value` is `(args, kwargs)` on the way in, and whatever the module returned on the way out.
    """
    chosen = dict(hf.named_modules()) if modules is None else _submodules(hf, modules)
    entered = dict.fromkeys(chosen, 0)
    handles = []

    def hook(name: str, module: torch.nn.Module) -> None:
        def before(_module: Any, args: Any, kwargs: Any) -> None:
            see(name, entered[name], "in", (args, kwargs))
            entered[name] += 1

        def after(_module: Any, _args: Any, output: Any) -> None:
            see(name, entered[name] - 1, "out", output)

        handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        handles.append(module.register_forward_hook(after))

    try:
        for name, module in chosen.items():
            hook(name, module)
        yield
    finally:
        for handle in handles:
            handle.remove()


def capture(
    hf: Any, inputs: Mapping[str, Any], sites: Mapping[Key, Site], take: Take, whole: bool
) -> tuple[dict[Key, torch.Tensor], Any]:
    """Run the network once and catch the tensors that pass at these sites.

    Args:
        hf: the plain transformers model.
        inputs: the keyword arguments of its forward.
        sites: what to catch, and where.
        take: called with each tensor as it passes; what it gives back is kept, and nothing else.
        whole: run to the end, for the model's own output; else stop as soon as everything has passed.

    Returns:
        what was taken by key, and the model's own output, None if the pass was stopped.
    """
    waiting: dict[tuple[str, int, Side], list[tuple[Key, Site]]] = {}
    for key, site in sites.items():
        waiting.setdefault((site.module, site.call, site.side), []).append((key, site))
    caught: dict[Key, torch.Tensor] = {}

    def see(module: str, number: int, side: Side, value: Any) -> None:
        for key, site in waiting.pop((module, number, side), ()):
            tensor = _follow(value, site.path)
            if tensor is not None:
                caught[key] = take(key, site.of(tensor))
        if not waiting and not whole:
            raise _Stop

    output = None
    with watch(hf, [site.module for site in sites.values()], see), suppress(_Stop):
        output = call(hf, inputs)
    return caught, output


def observe(hf: Any, inputs: Mapping[str, Any], see: See, until: Site) -> None:
    """Run the network with every module watched, up to and with the moment when a site is passed."""

    def see_or_stop(module: str, number: int, side: Side, value: Any) -> None:
        see(module, number, side, value)
        if (module, number, side) == (until.module, until.call, until.side):
            raise _Stop

    with watch(hf, None, see_or_stop), suppress(_Stop):
        call(hf, inputs)


@contextmanager
def substituted(hf: Any, outputs: Mapping[str, Sequence[Any]]) -> Iterator[None]:
    """Modules give these outputs in turn, one a call, and do not run; later calls are as ever, as is all afterwards."""
    before = {name: vars(hf.get_submodule(name)).get("forward") for name in outputs}

    def instead(name: str) -> Callable[..., Any]:
        forward, waiting = hf.get_submodule(name).forward, iter(outputs[name])

        def give(*args: Any, **kwargs: Any) -> Any:
            for output in waiting:
                return output
            return forward(*args, **kwargs)

        return give

    try:
        for name in outputs:
            hf.get_submodule(name).forward = instead(name)
        yield
    finally:
        for name, forward in before.items():
            own = vars(hf.get_submodule(name))
            if forward is None:
                own.pop("forward", None)
            else:
                own["forward"] = forward


@contextmanager
def evaluation(hf: Any) -> Iterator[None]:
    """No gradients and no dropout inside; every module's training mode is as before afterwards."""
    training = [module for module in hf.modules() if module.training]
    for module in training:
        module.training = False
    try:
        # Not inference_mode: rotary caches that a forward pass fills would then be unfit for training.
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def recording_attention(hf: Any) -> Iterator[None]:
    """Attention computed by the implementation that also returns it ("eager"), and switched back afterwards.

    The switch is in place, on the same weights. Families with an attention of their own refuse the call, but
    read the setting at each pass (Falcon), or return attention anyway; `Model.sites` checks what comes of it.
    """
    implementation = getattr(hf.config, "_attn_implementation", None)
    configs = {id(one.config): one.config for one in hf.modules() if hasattr(one, "config")}
    before = [(config, getattr(config, "_attn_implementation", None)) for config in configs.values()]
    if all(each in ("eager", None) for _, each in before):
        yield
        return
    _set_attention(hf, "eager")
    try:
        yield
    finally:
        if implementation is not None:
            _set_attention(hf, implementation)
        for config, each in before:  # a network of several parts may have one for each
            if getattr(config, "_attn_implementation", None) != each:
                config._attn_implementation = each


def _set_attention(hf: Any, implementation: str) -> None:
    with quiet():
        hf.set_attn_implementation(implementation)
    if hf.config._attn_implementation != implementation:
        hf.config._attn_implementation = implementation


def _submodules(hf: Any, names: Iterable[str]) -> dict[str, torch.nn.Module]:
    """Modules by name, those that are still there; what then is not caught, the caller finds out."""
    found = {}
    for name in set(names):
        with suppress(AttributeError):
            found[name] = hf.get_submodule(name)
    return found


def _follow(value: Any, path: Path) -> torch.Tensor | None:
    """The tensor at the end of a path, None where there is none."""
    for step in path:
        try:
            value = value[step]
        except (LookupError, TypeError):
            return None
    return value if isinstance(value, torch.Tensor) else None
