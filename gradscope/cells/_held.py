"""A cell that may stand still: sequences of several lengths in one trace."""

from __future__ import annotations

from collections.abc import Collection

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from gradscope.cells._cell import Cell, Gate
from gradscope.dynamics.linearisation import Linearisation


class Held(Cell):
    """s_t = m_t F(x_t, s_{t-1}) + (1 - m_t) s_{t-1}, where the last channel of the input is the
    mask m_t, 1 or 0.

    With short sequences held at their beginning, all of them end at the same step: lags back from
    the end are right for each, a held step passes adjoints on unchanged, and it uses no weight.
    """

    def __init__(self, cell: Cell):
        super().__init__(cell.input_size + 1, cell.hidden_size)
        self.cell = cell
        self.state_blocks = cell.state_blocks  # type: ignore[misc]

    @property
    def state_size(self) -> int:
        """Of the cell's state."""
        return self.cell.state_size

    @property
    def blocks(self) -> dict[str, slice]:
        """Of the cell's state."""
        return self.cell.blocks

    def hidden(self, s: Float[Tensor, "*any state"]) -> Float[Tensor, "*any hidden"]:
        """The cell's."""
        return self.cell.hidden(s)

    def running(self, inputs: Float[Tensor, "time batch input"]) -> Tensor:
        """The states from which a sequence runs on, its initial one first: (time + 1, batch)."""
        taken = inputs[..., -1] > 0
        return torch.cat((taken, torch.ones_like(taken[:1])))

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """The cell's."""
        self.cell.reset_parameters(generator)

    def recurrent_matrices(self) -> dict[str, Tensor]:
        """The cell's."""
        return self.cell.recurrent_matrices()

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step, or none."""
        return torch.where(x[..., -1:] > 0, self.cell(x[..., :-1], s), s)

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """The cell's, at the steps that are taken; flattened to (steps, 1, hidden) where some are
        not.
        """
        found, taken = self.cell.gates(x[..., :-1], s_prev), x[..., -1] > 0
        if bool(taken.all()):
            return found
        return {
            name: Gate(gate.activation, gate.preactivation[taken].unsqueeze(-2))
            for name, gate in found.items()
        }

    @torch.no_grad()
    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """m J + (1 - m) I."""
        own, taken = self.cell.jacobian(x[..., :-1], s_prev, s), x[..., -1:, None] > 0
        return torch.where(
            taken, own, torch.eye(self.state_size, dtype=own.dtype, device=own.device)
        )

    def linearise(
        self,
        x: Float[Tensor, "time batch input"],
        s_prev: Float[Tensor, "time batch state"],
        s: Float[Tensor, "time batch state"],
    ) -> Linearisation:
        """As the cell's, with the mask around it."""
        return HeldLinearisation(self.cell.linearise(x[..., :-1], s_prev, s), x[..., -1:])


class HeldLinearisation(Linearisation):
    """m times the cell's, and (1 - m) times the identity."""

    def __init__(self, inner: Linearisation, mask: Float[Tensor, "time batch 1"]):
        self.inner, self.mask = inner, mask

    def vjp(self, cotangent: Float[Tensor, "time batch state"]) -> tuple[Tensor, Tensor]:
        """m J^T a + (1 - m) a; nothing arrives at the mask itself."""
        by_state, by_input = self.inner.vjp(self.mask * cotangent)
        return by_state + (1 - self.mask) * cotangent, torch.cat(
            (by_input, torch.zeros_like(self.mask)), dim=-1
        )

    def jvp(
        self,
        tangent: Float[Tensor, "time batch state"],
        by_input: Float[Tensor, "time batch input"] | None = None,
    ) -> Float[Tensor, "time batch state"]:
        """m J v + (1 - m) v."""
        moved = self.inner.jvp(tangent, None if by_input is None else by_input[..., :-1])
        return self.mask * moved + (1 - self.mask) * tangent

    def by_parameters(
        self, cotangent: Float[Tensor, "time batch state"], names: Collection[str] | None = None
    ) -> dict[str, Tensor]:
        """Of the steps that are taken."""
        inner = None if names is None else {name.removeprefix("cell.") for name in names}
        return {
            f"cell.{name}": value
            for name, value in self.inner.by_parameters(self.mask * cotangent, inner).items()
        }

    def vjp_by_gate(
        self, cotangent: Float[Tensor, "time batch state"]
    ) -> dict[str, Float[Tensor, "time batch state"]]:
        """The cell's ways, and ``held`` for the steps not taken."""
        return {
            **self.inner.vjp_by_gate(self.mask * cotangent),
            "held": (1 - self.mask) * cotangent,
        }

    def at(self, steps: slice) -> HeldLinearisation:
        """Of these steps."""
        return HeldLinearisation(self.inner.at(steps), self.mask[steps])
