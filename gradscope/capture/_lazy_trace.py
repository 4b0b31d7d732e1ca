"""A trace whose tensors are too large to be kept beside those of others."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from typing import ClassVar

from torch import Tensor

from gradscope.dynamics import Adjoints, Trace


@dataclass(frozen=True, eq=False)
class Source:
    """What a trace is made of, and what is known of it without making it.

    Attributes:
        make: makes the trace.
        time: its number of steps.
        batch: its number of sequences.
        hears: whether a gradient arrived.
        known: what its cache holds for good.
    """

    make: Callable[[], Trace]
    time: int
    batch: int
    hears: bool
    known: Mapping[Hashable, object]


class LazyTrace(Trace):
    """A trace that makes its tensors when they are asked for, and lets go of them.

    Of all such traces one holds its tensors at a time, that which was asked last, so that a model
    of many layers takes the memory of one. With them goes what was kept in its cache, but for what
    was there at the beginning. A copy by ``dataclasses.replace`` holds its tensors.
    """

    #: None of a copy
    source: Source | None = None
    _latest: ClassVar[weakref.ref[LazyTrace] | None] = None

    @classmethod
    def of(cls, whole: Trace, source: Source) -> LazyTrace:
        """One that stands for a trace, and holds its tensors until another is asked for."""
        trace = object.__new__(cls)
        own = {field.name: field.default for field in fields(Trace)}
        own = {name: value for name, value in own.items() if value is not MISSING}
        own |= {"cell": whole.cell, "train_step": whole.train_step, "source": source}
        vars(trace).update(own, cache=dict(source.known))
        trace._hold(whole)
        return trace

    def __repr__(self) -> str:
        return (
            f"Trace({type(self.cell).__name__}, {self.time} steps, {self.batch} "
            f"sequence{'s' * (self.batch != 1)}, a state of {self.cell.state_size})"
        )

    @property
    def time(self) -> int:
        """Number of steps."""
        return self.inputs.shape[0] if self.source is None else self.source.time

    @property
    def batch(self) -> int:
        """Number of sequences."""
        return self.inputs.shape[1] if self.source is None else self.source.batch

    @cached_property
    def inputs(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """x_1 ... x_T."""
        return self._made().inputs

    @cached_property
    def states(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        """s_0 ... s_T."""
        return self._made().states

    @cached_property
    def immediate(self) -> Adjoints | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """dl_t/ds_t."""
        assert self.source is not None
        return self._made().immediate if self.source.hears else None

    def _made(self) -> Trace:
        """The trace, all of whose tensors are held from now on, and no other's."""
        assert self.source is not None
        LazyTrace._let_go()
        made = self.source.make()
        self._hold(made)
        return made

    def _hold(self, made: Trace) -> None:
        LazyTrace._let_go()
        vars(self).update(inputs=made.inputs, states=made.states, immediate=made.immediate)
        LazyTrace._latest = weakref.ref(self)

    @classmethod
    def _let_go(cls) -> None:
        """Of the tensors of whichever holds them."""
        self = LazyTrace._latest() if LazyTrace._latest is not None else None
        if self is None or self.source is None:
            return
        for name in ("inputs", "states", "immediate"):
            vars(self).pop(name, None)
        vars(self)["cache"] = dict(self.source.known)
