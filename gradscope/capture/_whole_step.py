"""WholeStep: a cell's step together with what a model does between two calls of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor, nn

from gradscope.capture._ancestry import Way
from gradscope.capture._watch import without_rounding
from gradscope.cells import Cell
from gradscope.dynamics import Adjoints, Trace
from gradscope.dynamics.activations import Gate
from gradscope.dynamics.linearisation import Linearisation
from gradscope.errors import GradscopeError


class WholeStep(Cell):
    """A cell's step together with what lies between it and the step before.

        s_t = F(x_t + E_t (s_{t-1} - s*_{t-1}), s'_t + G_t (s_{t-1} - s*_{t-1}))

    s* are the states that the cell made, s' those that came into its next call, G = ds'/ds and
    E = dx/ds, all as recorded: the step is exact along the recorded states, its derivatives too.
    Where the way is a mask or any other affine one it is exact everywhere. Inputs carry one more
    column, which says the recorded step and sequence.

    Args:
        cell: F.
        made: s*_{t-1}, ``(time, batch, state)``.
        came: s'_t.
        ways: G_t, ``(time, batch, state)`` where it is diagonal, else ``(time, batch, state,
            state)``.
        by_input: E_t, ``(time, batch, input, state)``; None where no input depends on the state.
    """

    cell: Cell
    made: Tensor
    came: Tensor
    ways: Tensor
    by_input: Tensor | None

    def __init__(
        self, cell: Cell, made: Tensor, came: Tensor, ways: Tensor, by_input: Tensor | None
    ):
        super().__init__(cell.input_size, cell.hidden_size)
        self.cell = cell
        self.register_buffer("made", made.flatten(0, 1))
        self.register_buffer("came", came.flatten(0, 1))
        self.register_buffer("ways", ways.flatten(0, 1))
        self.register_buffer("by_input", None if by_input is None else by_input.flatten(0, 1))

    @staticmethod
    def numbered(inputs: Float[Tensor, "time batch input"]) -> Float[Tensor, "time batch more"]:
        """Inputs with the column that says which they are."""
        time, batch = inputs.shape[:2]
        places = torch.arange(time * batch, dtype=inputs.dtype, device=inputs.device)
        return torch.cat((inputs, places.view(time, batch, 1)), dim=-1)

    # --- what is the cell's -----------------------------------------------------------------------

    @property
    def state_size(self) -> int:
        """That of the cell."""
        return self.cell.state_size

    @property
    def blocks(self) -> dict[str, slice]:
        """Those of the cell."""
        return self.cell.blocks

    def hidden(self, s: Float[Tensor, "*any state"]) -> Float[Tensor, "*any hidden"]:
        """That of the cell."""
        return self.cell.hidden(s)

    def initial_state(self, batch_size: int) -> Float[Tensor, "batch state"]:
        """That of the cell."""
        return self.cell.initial_state(batch_size)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """The weights are the attached module's: they cannot be drawn anew."""
        raise GradscopeError("the weights are the attached module's")

    def recurrent_matrices(self) -> dict[str, Float[Tensor, "hidden hidden"]]:
        """Those of the cell."""
        return self.cell.recurrent_matrices()

    def named_parameters(
        self, *args: object, **kwargs: object
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """Those of the cell, under its names."""
        return self.cell.named_parameters(*args, **kwargs)  # pyright: ignore[reportArgumentType]

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """Those of the cell, at what came into it."""
        return self.cell.gates(*self._into(x, s_prev))

    # --- the step -------------------------------------------------------------------------------

    @property
    def is_affine(self) -> bool:
        """Whether it is exact beside the recorded states as well, as far as can be known."""
        return self.ways.dim() == 2 and self.by_input is None

    def resets(self, x: Float[Tensor, "time batch more"]) -> Bool[Tensor, "time batch"]:
        """Before which steps the state was set anew, whatever it had been.

        Not where it is the one that came before, held while what the cell made of it is not used.
        """
        place = x[..., -1].round().long()
        cut = _at(self.ways, place).flatten(2).eq(0).all(-1)
        if self.by_input is not None:
            cut &= _at(self.by_input, place).flatten(2).eq(0).all(-1)
        came = _at(self.came, place)
        held = came[1:].eq(came[:-1]).all(-1) & came[1:].ne(came[:1]).any(-1)
        for t in range(1, len(cut)):
            cut[t] &= ~held[t - 1] | cut[t - 1]
        return cut

    def _into(self, x: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """What comes into the cell."""
        place = x[..., -1].round().long()
        moved = s - _at(self.made, place)
        read = x[..., :-1]
        if self.by_input is not None:
            read = read + _applied(_at(self.by_input, place), moved)
        return read, _at(self.came, place) + _applied(_at(self.ways, place), moved)

    def forward(
        self, x: Float[Tensor, "*batch more"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step, from the state that the cell made before."""
        return self.cell(*self._into(x, s))

    def jacobian(
        self,
        x: Float[Tensor, "*batch more"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """J_t = dF/ds G_t + dF/dx E_t."""
        read, came = self._into(x, s_prev)
        place, inner = x[..., -1].round().long(), self.cell.jacobian(read, came, s)
        ways = _at(self.ways, place)
        whole = inner * ways[..., None, :] if self.ways.dim() == 2 else inner @ ways
        if self.by_input is None:
            return whole
        return whole + self.cell.input_jacobian(read, came, s) @ _at(self.by_input, place)

    def input_jacobian(
        self,
        x: Float[Tensor, "*batch more"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state more"]:
        """That of the cell; zero in the column that says which step it is."""
        inner = self.cell.input_jacobian(*self._into(x, s_prev), s)
        return torch.cat((inner, torch.zeros_like(inner[..., :1])), dim=-1)

    def linearise(
        self,
        x: Float[Tensor, "time *batch more"],
        s_prev: Float[Tensor, "time *batch state"],
        s: Float[Tensor, "time *batch state"],
    ) -> Linearisation:
        """The derivative of these steps: that of the cell, and of the way into it."""
        place = x[..., -1].round().long()
        return _WholeLinearisation(
            self.cell.linearise(*self._into(x, s_prev), s),
            _at(self.ways, place),
            None if self.by_input is None else _at(self.by_input, place),
        )


def with_ways(
    cell: Cell, inputs: Tensor, states: Tensor, came: Tensor, ways: Sequence[Way | None]
) -> tuple[Cell, Tensor, Tensor]:
    """A cell whose steps begin in the states that were made, with its inputs and states.

    Args:
        cell: that takes the steps.
        inputs: x_1 ... x_T.
        states: s_0 and what each step made.
        came: what came into each step, ``(time, batch, state)``.
        ways: from the one to the other; None where they are the same.

    Returns:
        The cell itself where all are the same. Of ways that are matrices, kept of the batch's first
        sequences alone, these.
    """
    if all(way is None or (way.state is None and way.by_input is None) for way in ways):
        return cell, inputs, states
    known = [way or Way() for way in ways]
    full = [way.state for way in known if way.state is not None and way.state.dim() == 3]
    fed = [way.by_input for way in known if way.by_input is not None]
    batch = min([states.shape[1], *map(len, (*full, *fed))])
    ones = torch.ones_like(came[0])

    def of_state(way: Way) -> Tensor:
        state = ones if way.state is None else way.state
        return (torch.diag_embed(state) if full and state.dim() == 2 else state)[:batch].to(ones)

    by_input = None
    if fed:
        zero = torch.zeros_like(fed[0][:batch])
        parts = [zero if way.by_input is None else way.by_input[:batch] for way in known]
        unread = inputs.shape[-1] - zero.shape[-2]  # columns that say which step it is
        by_input = nn.functional.pad(torch.stack(parts).to(ones), (0, 0, 0, unread))
    few = states[:, :batch]
    whole = WholeStep(
        cell, few[:-1], came[:, :batch], torch.stack([of_state(way) for way in known]), by_input
    )
    return whole, WholeStep.numbered(inputs[:, :batch]), few


def with_totals(trace: Trace, totals: Tensor) -> tuple[Trace, Tensor]:
    """A trace with its immediate gradient, where the total one is known: a_t less J^T a_{t+1}.

    Args:
        trace: of steps.
        totals: what arrived at the state that each made, ``(time, batch, state)``.

    Returns:
        The trace, and what its steps send back to their inputs, ``(time, batch, input)``.
    """
    states = trace.states.detach()
    linear = trace.cell.linearise(trace.inputs, states[:-1], states[1:])
    carried, by_input = (part.detach() for part in linear.vjp(totals))
    before, sent = totals[:-1], carried[1:]
    left = without_rounding(before - sent, before.abs() + sent.abs())
    immediate = torch.cat((torch.zeros_like(states[:1]), left, totals[-1:]))
    whole = Trace(
        trace.cell, trace.inputs, trace.states, immediate=Adjoints(immediate), linear=linear
    )
    return whole, by_input[..., : trace.cell.input_size]


class _WholeLinearisation(Linearisation):
    """The chain rule along G and E into the cell's own derivative."""

    def __init__(self, inner: Linearisation, ways: Tensor, by_input: Tensor | None):
        self.inner, self.ways, self.by_input = inner, ways, by_input

    def vjp(
        self, cotangent: Float[Tensor, "time *batch state"]
    ) -> tuple[Float[Tensor, "time *batch state"], Float[Tensor, "time *batch more"]]:
        """(G^T F_s^T a + E^T F_x^T a, F_x^T a)."""
        by_state, by_input = self.inner.vjp(cotangent)
        carried = applied_back(self.ways, by_state)
        if self.by_input is not None:
            carried = carried + applied_back(self.by_input, by_input)
        return carried, torch.cat((by_input, torch.zeros_like(by_input[..., :1])), dim=-1)

    def jvp(
        self,
        tangent: Float[Tensor, "time *batch state"],
        by_input: Float[Tensor, "time *batch more"] | None = None,
    ) -> Float[Tensor, "time *batch state"]:
        """F_s G v + F_x (E v + w)."""
        moved = None if by_input is None else by_input[..., :-1]
        if self.by_input is not None:
            fed = _applied(self.by_input, tangent)
            moved = fed if moved is None else moved + fed
        return self.inner.jvp(_applied(self.ways, tangent), moved)

    def by_parameters(
        self,
        cotangent: Float[Tensor, "time *batch state"],
        names: Collection[str] | None = None,
    ) -> dict[str, Tensor]:
        """That of the cell's own parameters."""
        return self.inner.by_parameters(cotangent, names)

    def vjp_by_gate(
        self, cotangent: Float[Tensor, "time *batch state"]
    ) -> dict[str, Float[Tensor, "time *batch state"]]:
        """The ways through the cell, and ``fed back`` through its input."""
        ways = {
            name: applied_back(self.ways, part)
            for name, part in self.inner.vjp_by_gate(cotangent).items()
        }
        if self.by_input is not None:
            ways["fed back"] = applied_back(self.by_input, self.inner.vjp(cotangent)[1])
        return ways

    def prepare(self) -> None:
        """That of the cell."""
        self.inner.prepare()

    def at(self, steps: slice) -> _WholeLinearisation:
        """The same for some of the steps."""
        by_input = None if self.by_input is None else self.by_input[steps]
        return _WholeLinearisation(self.inner.at(steps), self.ways[steps], by_input)


def _at(table: Tensor, place: Tensor) -> Tensor:
    """Rows of a table; by an operation that can be batched."""
    return table.index_select(0, place.reshape(-1)).reshape(*place.shape, *table.shape[1:])


def _applied(way: Tensor, vector: Tensor) -> Tensor:
    """G v, of a diagonal or of a matrix."""
    return way * vector if way.dim() == vector.dim() else (way @ vector[..., None])[..., 0]


def applied_back(way: Tensor, vector: Tensor) -> Tensor:
    """G^T v."""
    return way * vector if way.dim() == vector.dim() else (way.mT @ vector[..., None])[..., 0]
