"""DiagonalScan: a linear recurrence whose decay comes from the input, unit by unit."""

from __future__ import annotations

from collections.abc import Collection

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from gradscope.cells import Cell
from gradscope.dynamics import Linearisation


class DiagonalScan(Cell):
    """s_t = d_t s_{t-1} + u_t, unit by unit; the input is [d_t, u_t]. J_t = diag(d_t)."""

    def __init__(self, size: int):
        super().__init__(2 * size, size)
        self.register_buffer("rest", torch.zeros(size), persistent=False)

    def initial_state(self, batch_size: int) -> Float[Tensor, "batch state"]:
        """s_0 = 0."""
        return self.get_buffer("rest").expand(batch_size, -1)

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Does nothing: it has no weights."""

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """s_t of one step."""
        decay, drive = x.chunk(2, dim=-1)
        return decay * s + drive

    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """diag(d_t)."""
        return torch.diag_embed(x[..., : self.hidden_size])

    def linearise(
        self,
        x: Float[Tensor, "time batch input"],
        s_prev: Float[Tensor, "time batch state"],
        s: Float[Tensor, "time batch state"],
    ) -> Linearisation:
        """The derivative in closed form."""
        return DiagonalLinearisation(x, s_prev)


class DiagonalLinearisation(Linearisation):
    """ds_t = d_t ds_{t-1} + s_{t-1} dd_t + du_t.

    Args:
        x: [d_t, u_t].
        s_prev: s_{t-1}.
    """

    def __init__(
        self, x: Float[Tensor, "time batch input"], s_prev: Float[Tensor, "time batch state"]
    ):
        self.x, self.s_prev = x, s_prev
        self.decay = x.chunk(2, dim=-1)[0]

    def vjp(
        self, cotangent: Float[Tensor, "time batch state"]
    ) -> tuple[Float[Tensor, "time batch state"], Float[Tensor, "time batch input"]]:
        """(d a, [s_{t-1} a, a])."""
        return self.decay * cotangent, torch.cat((self.s_prev * cotangent, cotangent), dim=-1)

    def jvp(
        self,
        tangent: Float[Tensor, "time batch state"],
        by_input: Float[Tensor, "time batch input"] | None = None,
    ) -> Float[Tensor, "time batch state"]:
        """d v, and what moves the input."""
        moved = self.decay * tangent
        if by_input is not None:
            by_decay, by_drive = by_input.chunk(2, dim=-1)
            moved = moved + self.s_prev * by_decay + by_drive
        return moved

    def by_parameters(
        self, cotangent: Float[Tensor, "time batch state"], names: Collection[str] | None = None
    ) -> dict[str, Tensor]:
        """Nothing: it has no parameters."""
        return {}

    def at(self, steps: slice) -> DiagonalLinearisation:
        """The linearisation of these steps alone."""
        return DiagonalLinearisation(self.x[steps], self.s_prev[steps])
