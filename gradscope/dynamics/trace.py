"""Trace: the tensors of one unroll, and the step that made them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from jaxtyping import Float
from torch import Tensor


class StepFunction(Protocol):
    """What a trace needs of a cell: s_t = F(x_t, s_{t-1}) and the part of the state that is its
    output.
    """

    def __call__(self, x: Tensor, s: Tensor) -> Tensor:
        """s_t from x_t and s_{t-1}."""
        ...

    def hidden(self, s: Tensor) -> Tensor:
        """h, a part of the state."""
        ...


@dataclass(frozen=True)
class Update:
    """The parameters' gradients of one optimiser step, before and after the clip."""

    before: Mapping[str, Tensor]
    after: Mapping[str, Tensor]


@dataclass(frozen=True)
class Trace:
    """One unroll of a cell over a batch.

    Shapes: inputs ``(time, batch, input)``; states ``(time + 1, batch, state)``, states[0] being
    the initial state, so that ``states[t + 1] = cell(inputs[t], states[t])``; losses ``(scored,
    batch)``, the terms whose sum is the loss, made from ``states`` (which then requires grad);
    ``scored`` of them, at the states' indices ``loss_steps``.

    Attributes:
        cell: the step function.
        reduction: how the losses add up, for what is stored.
        tbptt: (length, stride) of the truncation in training, None for full BPTT.
        update: gradients of the optimiser step, where the trace is of one.
        train_step: optimiser steps taken before this trace.
        immediate: dl_t/ds_t with its log scale (``dynamics.Adjoints``), of a model whose losses
            were made elsewhere; takes the place of ``losses``.
        text: the symbols that were read, and the one to follow the last, of each sequence, where
            inputs are a text.
        cache: derived quantities that several probes share; theirs to fill.
    """

    cell: Any
    inputs: Float[Tensor, "time batch input"]
    states: Float[Tensor, "time+1 batch state"]
    losses: Float[Tensor, "scored batch"] | None = None
    loss_steps: Tensor | None = None
    reduction: str = "mean over scored steps and batch"
    tbptt: tuple[int, int] | None = None
    update: Update | None = None
    train_step: int = 0
    immediate: Any = None
    text: tuple[tuple[str, ...], ...] | None = None
    cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __repr__(self) -> str:
        steps, batch, size = self.states.shape
        return (
            f"Trace({type(self.cell).__name__}, {steps - 1} steps, {batch} sequences, a state of"
            f" {size})"
        )

    @property
    def time(self) -> int:
        """Number of steps."""
        return self.inputs.shape[0]

    def memo(self, key: Any, make: Callable[[], Any]) -> Any:
        """``make()``, computed once for this trace."""
        if key not in self.cache:
            self.cache[key] = make()
        return self.cache[key]

    def running(self) -> Tensor | None:
        """Which states of each sequence are its own, ``(time + 1, batch)``, where short ones are
        held at their beginning.
        """
        return self.cell.running(self.inputs) if hasattr(self.cell, "running") else None

    def first(self, sequences: int) -> Trace:
        """The trace of the batch's first sequences, without losses; the same object each time."""
        count = min(sequences, self.inputs.shape[1])
        return self.memo(
            ("first", count),
            lambda: Trace(
                self.cell,
                self.inputs[:, :count],
                self.states.detach()[:, :count],
                train_step=self.train_step,
            ),
        )


def recurrence(name: str) -> str:
    """The name of a recurrence without the number of its stretch: ``decoder.cell`` of
    ``decoder.cell (2)``.
    """
    return name.split(" (")[0]
