"""Trace: the tensors of one unroll, and the step that made them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, TypeVar, cast, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gradscope.dynamics.activations import Gate
from gradscope.dynamics.linearisation import Linearisation, MaskedLinearisation
from gradscope.dynamics.scaled import Adjoints

_T = TypeVar("_T")


@runtime_checkable
class StepFunction(Protocol):
    """What a trace needs of a cell: the step s_t = F(x_t, s_{t-1}), its derivatives and its parts.

    ``gradscope.cells.Cell`` is one, and derives everything else from the step.
    """

    input_size: int
    hidden_size: int
    along_depth: bool

    @property
    def state_size(self) -> int:
        """Length of the state."""
        ...

    @property
    def blocks(self) -> dict[str, slice]:
        """Where each named part of the state lies along its last axis."""
        ...

    def __call__(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """s_t from x_t and s_{t-1}."""
        ...

    def hidden(self, s: Float[Tensor, "*any state"]) -> Float[Tensor, "*any hidden"]:
        """h, the output part of the state."""
        ...

    def initial_state(self, batch_size: int) -> Float[Tensor, "batch state"]:
        """s_0."""
        ...

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """The nonlinearities at these steps, by name; empty where the cell names none."""
        ...

    def recurrent_matrices(self) -> dict[str, Float[Tensor, "hidden hidden"]]:
        """The recurrent weight matrices by gate; empty where the cell names none."""
        ...

    def scan(
        self, inputs: Float[Tensor, "time batch input"], state: Float[Tensor, "batch state"]
    ) -> Float[Tensor, "time+1 batch state"]:
        """All states s_0 ... s_T, s_0 being ``state``."""
        ...

    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """J_t = ds_t/ds_{t-1}, axes (..., out, in)."""
        ...

    def linearise(
        self,
        x: Float[Tensor, "time batch input"],
        s_prev: Float[Tensor, "time batch state"],
        s: Float[Tensor, "time batch state"],
    ) -> Linearisation:
        """The derivative of these steps, to be applied many times."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The weights by name."""
        ...


@runtime_checkable
class CutSteps(Protocol):
    """A step function that knows where its training cut gradients off, by detach or no_grad."""

    def as_trained(self) -> StepFunction:
        """The same steps, with derivatives of zero where they were cut off."""
        ...


class Update(NamedTuple):
    """The parameters' gradients of one optimiser step, by name, before and after the clip."""

    before: Mapping[str, Tensor]
    after: Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Trace:
    """One unroll of a cell over a batch: ``states[t + 1] = cell(inputs[t], states[t])``.

    Every function of ``gradscope.dynamics`` takes one. Make one with ``gradscope.unroll``, or
    record one with a ``Scope``.

    Shapes: inputs ``(time, batch, input)``; states ``(time + 1, batch, state)``, of which states[0]
    is the initial state; losses ``(scored, batch)``.

    Attributes:
        cell: the step function.
        inputs: x_1 ... x_T.
        states: s_0 ... s_T, which require grad where losses are made from them.
        losses: the terms whose sum is the loss, made from ``states``.
        loss_steps: the index into ``states`` of each row of ``losses``.
        mask: which steps each sequence takes, ``(time, batch)``; at the others its state is held,
            s_t = s_{t-1}. None means that every step is taken. Short sequences are held at their
            beginning, so that all of a batch end at the same step.
        immediate: dl_t/ds_t, in place of ``losses``, where the losses were made outside gradscope.
        total: dL/ds_t, where it is known without running the adjoint recursion.
        linear: the linearisation of all steps, where it was made along with the states.
        reduction: how the losses add up, in words, to be stored with what is measured.
        tbptt: (length, stride) of the truncation in training; None for full BPTT.
        update: gradients of the optimiser step, where the trace was recorded in one.
        train_step: number of optimiser steps before this trace.
        text: for each sequence of a text, the symbols read and the symbol that follows them.
        cache: derived quantities that several measurements share.
    """

    cell: StepFunction
    inputs: Float[Tensor, "time batch input"]
    states: Float[Tensor, "time+1 batch state"]
    losses: Float[Tensor, "scored batch"] | None = None
    loss_steps: Int[Tensor, " scored"] | None = None
    mask: Bool[Tensor, "time batch"] | None = None
    immediate: Adjoints | None = None
    total: Adjoints | None = None
    linear: Linearisation | None = field(default=None, repr=False)
    reduction: str = "mean over scored steps and batch"
    tbptt: tuple[int, int] | None = None
    update: Update | None = None
    train_step: int = 0
    text: tuple[tuple[str, ...], ...] | None = None
    cache: dict[Hashable, object] = field(default_factory=dict, repr=False, compare=False)

    def __repr__(self) -> str:
        return (
            f"Trace({type(self.cell).__name__}, {self.time} steps, {self.batch} "
            f"sequence{'s' * (self.batch != 1)}, a state of {self.states.shape[-1]})"
        )

    @property
    def time(self) -> int:
        """Number of steps."""
        return self.inputs.shape[0]

    @property
    def batch(self) -> int:
        """Number of sequences."""
        return self.inputs.shape[1]

    @property
    def read(self) -> Float[Tensor, "time batch read"]:
        """What was read: the inputs, without a column that only says which step it is."""
        return self.inputs[..., : self.cell.input_size]

    def memo(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """The result of ``make()``, computed once for this trace and key."""
        if key not in self.cache:
            self.cache[key] = make()
        return cast(_T, self.cache[key])

    # --- parts ----------------------------------------------------------------------------------

    def steps(self, start: int, stop: int) -> Trace:
        """The trace of steps start + 1 ... stop alone, from s_start on, without losses."""
        return Trace(
            self.cell,
            self.inputs[start:stop],
            self.states.detach()[start : stop + 1],
            mask=None if self.mask is None else self.mask[start:stop],
            train_step=self.train_step,
        )

    def sequences(self, index: slice | Tensor) -> Trace:
        """The trace of some of the batch's sequences, without losses."""
        return Trace(
            self.cell,
            self.inputs[:, index],
            self.states.detach()[:, index],
            mask=None if self.mask is None else self.mask[:, index],
            train_step=self.train_step,
        )

    def first(self, sequences: int) -> Trace:
        """The trace of the batch's first sequences, without losses; the same object each time."""
        count = min(sequences, self.batch)
        return self.memo(("first", count), lambda: self.sequences(slice(count)))

    def with_losses_of(self, immediate: Adjoints) -> Trace:
        """The same trace with losses of this immediate gradient dl_t/ds_t in place of its own."""
        return replace(
            self, losses=None, loss_steps=None, immediate=immediate, total=None, cache={}
        )

    # --- sequences of several lengths -------------------------------------------------------------

    def lengths(self) -> Int[Tensor, " batch"]:
        """Number of steps that each sequence takes."""
        if self.mask is None:
            return torch.full((self.batch,), self.time, device=self.inputs.device)
        return self.mask.sum(0)

    def running(self) -> Bool[Tensor, "times batch"] | None:
        """Which states belong to a sequence that has begun, s_0 included; None where all do."""
        if self.mask is None:
            return None
        return torch.cat((self.mask, torch.ones_like(self.mask[:1])))

    # --- the step's derivatives -------------------------------------------------------------------

    def jacobians(self, start: int = 0, stop: int | None = None) -> Float[Tensor, "steps b s s"]:
        """J_t of steps start + 1 ... stop; the identity where a state is held. Not cached."""
        stop = self.time if stop is None else stop
        states = self.states.detach()
        jacobians = self.cell.jacobian(
            self.inputs[start:stop], states[start:stop], states[start + 1 : stop + 1]
        )
        if self.mask is None:
            return jacobians
        identity = torch.eye(states.shape[-1], dtype=jacobians.dtype, device=jacobians.device)
        return torch.where(self.mask[start:stop, :, None, None], jacobians, identity)

    def linearisation(self) -> Linearisation:
        """The derivative of all steps, made once and cached."""
        if self.linear is not None:
            return self.linear
        return self.memo("linearisation", lambda: self._linearised(0, self.time))

    def linearised(self, start: int, stop: int) -> Linearisation:
        """The derivative of steps start + 1 ... stop; a view of the whole one where that exists."""
        if self.linear is not None or "linearisation" in self.cache:
            return self.linearisation().at(slice(start, stop))
        return self._linearised(start, stop)

    def _linearised(self, start: int, stop: int) -> Linearisation:
        states = self.states.detach()
        linear = self.cell.linearise(
            self.inputs[start:stop], states[start:stop], states[start + 1 : stop + 1]
        )
        if self.mask is None:
            return linear
        return MaskedLinearisation(linear, self.mask[start:stop, :, None].to(states.dtype))

    def gates(self) -> dict[str, Gate]:
        """The cell's nonlinearities at the steps that are taken, by name.

        Preactivations are ``(time, batch, hidden)``, or ``(taken, 1, hidden)`` where some steps are
        not taken.
        """
        with torch.no_grad():
            gates = self.cell.gates(self.inputs, self.states.detach()[:-1])
        if self.mask is None or bool(self.mask.all()):
            return gates
        return {
            name: Gate(gate.activation, gate.preactivation[self.mask].unsqueeze(-2))
            for name, gate in gates.items()
        }
