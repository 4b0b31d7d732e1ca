"""A way through a stack, and the states along it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Way:
    """One way through a stack: calls of blocks, each made of what the one before gave.

    Attributes:
        layers: places, among the tape's operations, of each layer's calls.
        start: the first operation that belongs to it.
        stop: the operation before which it ends.
    """

    layers: list[list[int]] = field(default_factory=list)
    start: int = 0
    stop: int = 0


@dataclass
class State:
    """What is handed on between two layers.

    Attributes:
        at: the operation before which it is cut.
        tensors: their numbers.
    """

    at: int
    tensors: list[int]


@dataclass
class Cut:
    """The states along a way.

    Attributes:
        states: one before each layer, and the last.
        problem: why there are none; "" where there are.
        missing: layers at the beginning that are left out, as what enters them is another state.
    """

    states: list[State] = field(default_factory=list)
    problem: str = ""
    missing: int = 0
