"""The linear recurrent unit."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor

from gradscope.cells._cell import register
from gradscope.cells._diagonal import ComplexDiagonal
from gradscope.errors import GradscopeError


@register("lru")
class LRU(ComplexDiagonal):
    """The linear recurrent unit: a diagonal linear recurrence of modulus below 1.

        z_t = lambda z_{t-1} + gamma B x_t        lambda = exp(-exp(nu) + i exp(theta))
        h_t = gelu(Re(C z_t) + D x_t)             gamma = sqrt(1 - |lambda|^2)

    State s = [h, re z, im z]. |lambda| is below 1 for all parameters, so that gradients through z
    never explode, and it starts near 1, so that they hardly vanish. gamma keeps z of order 1.
    lambda is drawn evenly by area from the ring ``low`` < |lambda| < ``high``, with a phase between
    0 and ``max_phase``.

    Reference: Orvieto et al. (2023), Resurrecting recurrent neural networks for long sequences.
    """

    of_start = frozenset({"low", "high", "max_phase"})
    spectrum = ("nu", "theta")
    nu: Tensor
    theta: Tensor

    def __init__(
        self,
        input_size: int,
        *,
        hidden_size: Annotated[
            int,
            Field(
                ge=1,
                description="complex units z, as many as outputs h; each is three numbers of state",
            ),
        ] = 64,
        low: Annotated[
            float,
            Field(
                ge=0,
                lt=1,
                description="least initial |lambda|, 0 to 1: what is left of a mode after a step",
            ),
        ] = 0.5,
        high: Annotated[
            float,
            Field(
                gt=0,
                lt=1,
                description=(
                    "largest initial |lambda|, below 1; a mode is kept for about 1 / (1 - "
                    "|lambda|) steps"
                ),
            ),
        ] = 0.999,
        max_phase: Annotated[
            float,
            Field(
                gt=0,
                description=(
                    "largest initial phase of lambda, in radians; 6.28 is the whole circle, "
                    "small ones are slow oscillations"
                ),
            ),
        ] = 6.28,
        generator: Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        if low >= high:
            raise GradscopeError(f"low should be below high, got {low} and {high}")
        self.ring, self.max_phase = (low, high), max_phase
        super().__init__(input_size, hidden_size, generator, dtype, device)

    @torch.no_grad()
    def reset_spectrum(self, generator: Generator | None) -> None:
        """Draw |lambda|^2 evenly from [low^2, high^2] and the phase from [0, max_phase]."""
        low, high = self.ring
        u, v = torch.rand(2, self.hidden_size, dtype=torch.float64, generator=generator)
        self.nu.copy_((-0.5 * (u * (high**2 - low**2) + low**2).log()).log())
        self.theta.copy_((self.max_phase * v.clamp_min(1e-12)).log())

    def eigenvalues(self) -> tuple[Tensor, Tensor, Tensor]:
        """lambda = exp(-exp(nu) + i exp(theta)), and the factor gamma."""
        modulus, phase = torch.exp(-self.nu.exp()), self.theta.exp()
        return (
            modulus * phase.cos(),
            modulus * phase.sin(),
            (1 - modulus * modulus).clamp_min(1e-12).sqrt(),
        )
