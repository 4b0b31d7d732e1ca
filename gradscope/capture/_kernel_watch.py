"""Modules whose recurrence is a known kernel, watched there.

A kernel's arguments say what A_t, k_t, v_t and q_t are; what arrives at its output is sent back
through what makes it of the reads, and is dL/do_t.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from types import CodeType
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gradscope.capture import _kernels_decay, _kernels_delta, _kernels_module
from gradscope.capture._kernel import Given, Kernel
from gradscope.capture._matrix import Seen, matrix_trace
from gradscope.capture._watch import (
    Args,
    Harvest,
    Kwargs,
    Recorded,
    Watch,
    bare_copy,
    recomputing,
    versions,
)
from gradscope.errors import GradscopeError

#: all kernels that are known
KERNELS: tuple[Kernel, ...] = tuple(
    kind()
    for module in (_kernels_delta, _kernels_decay, _kernels_module)
    for kind in vars(module).values()
    if inspect.isclass(kind) and issubclass(kind, Kernel) and kind is not Kernel
)
_BY_NAME = {name: kernel for kernel in KERNELS for name in kernel.names}


def kernels_of(module: nn.Module) -> list[Kernel]:
    """The kernels that a module calls, by its code; what it is itself where it calls none."""
    called = list(dict.fromkeys(spot.kernel for spot in _spots(module)))
    return called or [kernel for kernel in KERNELS if kernel.knows(module)]


def about(kernels: list[Kernel]) -> str:
    """What they are, in words."""
    return "; ".join(dict.fromkeys(kernel.about for kernel in kernels))


class KernelWatch(Watch):
    """Watches one module that calls a kernel, or is one.

    Args:
        name: of the module in the model.
        module: that is watched.
        sequences: how many of the batch are measured; None is all.
    """

    def __init__(self, name: str, module: nn.Module, sequences: int | None = None):
        super().__init__(name, module)
        self.spots = list(_spots(module))
        self.copy, self.stamp = bare_copy(module), versions(module)
        self.measured = slice(sequences)
        self.calls: list[Seen] = []
        self.unread = 0
        self._inside = 0

    def put_hooks(self) -> None:
        """See the kernels that the module calls while it runs, or the module itself."""
        self.hook(self.module, self._leave, self._enter)
        for spot in self.spots:
            _look_at(spot, self, self.hooks)

    def _enter(self, module: nn.Module, args: Args, kwargs: Kwargs) -> None:
        self._inside += 1

    def _leave(self, module: nn.Module, args: Args, kwargs: Kwargs, output: object) -> None:
        self._inside -= 1
        if not self.spots:
            (kernel,) = (kernel for kernel in KERNELS if kernel.knows(module))
            self._take(kernel, Given(self.copy.forward, args, kwargs), output)

    def saw(self, kernel: Kernel, given: Given, output: object) -> None:
        """Keep one call of a kernel, where it is the module's own."""
        if self._inside:
            self._take(kernel, given, output)

    def _take(self, kernel: Kernel, given: Given, output: object) -> None:
        seen = output[0] if isinstance(output, tuple) else output
        if recomputing() or not isinstance(seen, Tensor):
            return
        if versions(self.module) != self.stamp:
            raise GradscopeError(
                f"the weights of '{self.place}' changed within the recorded block: record one "
                "update at a time"
            )
        with torch.no_grad():
            call = kernel.read(given, self.copy)
        if call is None or call.key.shape[1] < 2:
            self.unread += 1
            return
        self.calls.append(Seen(call, seen.detach(), seen._version, self.receive(seen)))

    def harvest(self) -> Harvest:
        """A trace for every call over a whole sequence."""
        harvest = Harvest()
        if self.unread:
            calls = f"{self.unread} call{'s' * (self.unread > 1)}"
            harvest.notes.append(
                f"{self.place}: {calls} with a cache, a step at a time, were left out"
            )
        for index, seen in enumerate(self.calls):
            place = self.place.in_stretch(index, len(self.calls))
            trace, notes = matrix_trace(seen, place, type(self.module).__name__, self.measured)
            harvest.recorded.append(Recorded(place, trace, carried=seen.call.start is not None))
            harvest.notes += notes
        self.calls.clear()
        return harvest


# --- where a module finds its kernels -------------------------------------------------------------


class _Spot(NamedTuple):
    """Where a module finds a kernel.

    Attributes:
        held: the namespace: the module's own, or its file's.
        name: within it.
        kernel: which it is.
        method_of: the module, where it is a method of its class.
    """

    held: MutableMapping[str, object]
    name: str
    kernel: Kernel
    method_of: nn.Module | None = None


def _spots(module: nn.Module) -> Iterator[_Spot]:
    """All places where a module's code finds a kernel, each once."""
    own, seen = vars(module), set[tuple[int, str]]()
    for name, value in own.items():
        inner = value.func if isinstance(value, partial) else value
        called = getattr(inner, "__name__", "") if callable(inner) else ""
        if called in _BY_NAME and not isinstance(value, nn.Module):
            seen.add((id(own), name))
            yield _Spot(own, name, _BY_NAME[called])
    for names, code in _codes(module):
        for name in _BY_NAME.keys() & set(code.co_names):
            method = None if name in own or not hasattr(type(module), name) else module
            held = own if name in own or method is not None else names
            if (id(held), name) not in seen and (method is not None or name in held):
                seen.add((id(held), name))
                yield _Spot(held, name, _BY_NAME[name], method)


def _codes(module: nn.Module) -> Iterator[tuple[dict[str, object], CodeType]]:
    """The code of all methods of a module's class, with the globals that it sees."""
    for kind in type(module).__mro__:
        if kind is nn.Module:
            return
        for value in vars(kind).values():
            function = inspect.unwrap(value) if callable(value) else value
            if inspect.isfunction(function):
                yield function.__globals__, function.__code__


@dataclass(eq=False)
class _Looked:
    """A kernel that is looked at while modules run.

    Attributes:
        spot: where it is found.
        function: itself.
        watches: of all modules that find it there.
    """

    spot: _Spot
    function: Callable[..., object]
    watches: list[KernelWatch] = field(default_factory=list)

    def __call__(self, *args: object, **kwargs: object) -> object:
        output = self.function(*args, **kwargs)
        for watch in self.watches:
            watch.onlooker.look(self._tell, watch, args, kwargs, output)
        return output

    def _tell(self, watch: KernelWatch, args: Args, kwargs: Kwargs, output: object) -> None:
        watch.saw(self.spot.kernel, Given(self.function, args, kwargs), output)

    def __deepcopy__(self, memo: dict[int, object]) -> object:
        """A copied module's own method, or the function."""
        owner = self.spot.method_of
        if owner is None:
            return self.function
        return getattr(type(owner), self.spot.name).__get__(memo.get(id(owner), owner))


def _look_at(spot: _Spot, watch: KernelWatch, hooks: ExitStack) -> None:
    """Look at a kernel where a module finds it, until ``hooks`` is closed."""
    held, name = spot.held, spot.name
    function = held[name] if spot.method_of is None else getattr(spot.method_of, name)
    if not callable(function):
        return
    looked = function if isinstance(function, _Looked) else _Looked(spot, function)
    held[name] = looked
    looked.watches.append(watch)

    def restore() -> None:
        looked.watches.remove(watch)
        if looked.watches:
            return
        if spot.method_of is None:
            held[name] = looked.function
        else:
            held.pop(name, None)

    hooks.callback(restore)
