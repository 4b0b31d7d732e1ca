"""Modules whose recurrence is a known kernel, watched there.

A kernel's arguments say what A_t, k_t, v_t and q_t are; what arrives at its output is sent back
through what makes it of the reads, and is dL/do_t.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack
from functools import partial
from types import CodeType
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from gradscope.capture import _kernels_decay, _kernels_delta, _kernels_module
from gradscope.capture._kernel import Given, Kernel
from gradscope.capture._matrix import CallSource, Seen, matrix_trace
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


#: modules that are running, the innermost last
_RUNNING: list[nn.Module] = []


class KernelWatch(Watch):
    """Watches one module that calls a kernel, or is one.

    Args:
        name: of the module in the model.
        module: that is watched.
        sequences: how many of the batch are measured; None is all.
    """

    def __init__(self, name: str, module: nn.Module, sequences: int | None = None):
        super().__init__(name, module)
        self.spots, self.stamp = list(_spots(module)), versions(module)
        # a kernel that is a function has all that it needs among its arguments
        self.copy = module if self.spots else bare_copy(module)
        self.measured = slice(sequences)
        self.calls: list[Seen] = []
        self.unread = 0

    def put_hooks(self) -> None:
        """See the kernels that the module calls while it runs, or the module itself."""
        self.hook(self.module, self._leave, self._enter, self._fail)
        for spot in self.spots:
            _look_at(spot, self, self.hooks)

    def _enter(self, module: nn.Module, args: Args, kwargs: Kwargs) -> None:
        _RUNNING.append(module)

    def _fail(self, module: nn.Module, args: Args, kwargs: Kwargs) -> None:
        _RUNNING.pop()

    def _leave(self, module: nn.Module, args: Args, kwargs: Kwargs, output: object) -> None:
        _RUNNING.pop()
        if not self.spots:
            (kernel,) = (kernel for kernel in KERNELS if kernel.knows(module))
            self._take(kernel, Given(self.copy.forward, args, kwargs), output)

    def saw(self, kernel: Kernel, given: Given, output: object) -> None:
        """Keep one call of a kernel, where it is the module's own."""
        if _RUNNING and _RUNNING[-1] is self.module:
            self._take(kernel, given, output)

    def _take(self, kernel: Kernel, given: Given, output: object) -> None:
        seen = output[0] if isinstance(output, tuple) else output
        if not isinstance(seen, Tensor):
            return
        if recomputing():
            self._hear_again(seen)
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
        again = partial(kernel.read, given.kept(), self.copy)
        source = CallSource(call, again, given.marks())
        carried = given.is_carried(call.start)
        self.calls.append(Seen(source, seen, self.receive(seen), carried))

    def _hear_again(self, output: Tensor) -> None:
        """A call without a graph that is made again with one (checkpointing) hears its gradient."""
        for call in reversed(self.calls):
            if not call.trains and torch.equal(call.output, output.detach()):
                call.received, call.trains = self.receive(output), output.requires_grad
                return

    def harvest(self) -> Harvest:
        """A trace for every call over a whole sequence."""
        harvest = Harvest()
        if self.unread:
            calls = "1 call" if self.unread == 1 else f"{self.unread} calls"
            were = "was" if self.unread == 1 else "were"
            harvest.notes.append(
                f"{self.place}: {calls} with a cache, or of a single step, {were} left out"
            )
        for index, seen in enumerate(self.calls):
            place = self.place.in_stretch(index, len(self.calls))
            trace, notes = matrix_trace(seen, place, type(self.module).__name__, self.measured)
            harvest.recorded.append(Recorded(place, trace, carried=seen.carried))
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
        kernel = None if isinstance(value, nn.Module) else _kernel_of(value)
        if kernel is not None:
            seen.add((id(own), name))
            yield _Spot(own, name, kernel)
    for names, code in _codes(module):
        for spot in _found(module, names, code.co_names):
            if (id(spot.held), spot.name) not in seen:
                seen.add((id(spot.held), spot.name))
                yield spot


def _found(module: nn.Module, held: dict[str, object], names: tuple[str, ...]) -> Iterator[_Spot]:
    """Kernels that a piece of code finds by the names in it, global or after a dot."""
    own, packages = vars(module), [held[name] for name in names if inspect.ismodule(held.get(name))]
    for name in names:
        if (kernel := _kernel_of(held.get(name))) is not None:
            yield _Spot(held, name, kernel)
        if (kernel := _BY_NAME.get(name)) is None:
            continue
        if name not in own and hasattr(type(module), name):
            yield _Spot(own, name, kernel, module)
        for at in (held, *map(vars, packages)):
            if callable(at.get(name)):
                yield _Spot(at, name, kernel)


def _kernel_of(value: object) -> Kernel | None:
    """The kernel that a function is, by its own name."""
    inner = value.func if isinstance(value, partial) else value
    called = getattr(inner, "__name__", "") if callable(inner) else ""
    return _BY_NAME.get(called) if isinstance(called, str) else None


def _codes(module: nn.Module) -> Iterator[tuple[dict[str, object], CodeType]]:
    """The code of all methods of a module's class, with the globals that it sees."""
    for kind in type(module).__mro__:
        if kind is nn.Module:
            return
        for value in vars(kind).values():
            function = inspect.unwrap(value) if callable(value) else value
            if inspect.isfunction(function):
                for code in _nested(function.__code__):
                    yield function.__globals__, code


def _nested(code: CodeType) -> Iterator[CodeType]:
    """A piece of code and all within it, as of a function in a function."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


class _Looked:
    """A kernel that is looked at while modules run; a copy of it is the kernel itself.

    Args:
        spot: where it is found.
        function: itself.

    Attributes:
        watches: of all modules that find it there.
    """

    #: how many kernels are running: what one calls within it is its own
    running: ClassVar[int] = 0

    def __init__(self, spot: _Spot, function: Callable[..., object]):
        self.spot, self.function = spot, function
        self.watches: list[KernelWatch] = []
        functools.update_wrapper(self, function)

    def __call__(self, *args: object, **kwargs: object) -> object:
        _Looked.running += 1
        try:
            output = self.function(*args, **kwargs)
        finally:
            _Looked.running -= 1
        if not _Looked.running:
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

    def __reduce__(self) -> tuple[object, ...]:
        """The method, or the function, so that a module can be saved while it is looked at."""
        owner = self.spot.method_of
        if owner is None:
            return operator.itemgetter(0), ([self.function],)
        return getattr, (owner, self.spot.name)


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
