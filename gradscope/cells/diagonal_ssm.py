"""A diagonal state space model."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor

from gradscope.cells._cell import register
from gradscope.cells._diagonal import ComplexDiagonal
from gradscope.errors import GradscopeError


@register("diagonal_ssm")
class DiagonalSSM(ComplexDiagonal):
    """A diagonal linear differential equation, solved from step to step by zero-order hold.

        dz/dt = A z + B x, so z_t = lambda z_{t-1} + scale B x_t    with lambda = exp(delta A)
        h_t = gelu(Re(C z_t) + D x_t)

    State s = [h, re z, im z]. A = -exp(a) + i omega, so that |lambda| < 1 for all parameters. A
    starts as S4D-Lin, -1/2 + i pi n; delta is drawn evenly in its logarithm. The scale
    |lambda - 1| / |A| is that of zero-order hold up to its phase, which B can take up.

    Reference: Gu, Gupta, Goel and Re (2022), On the parameterization and initialization of diagonal
    state space models.
    """

    of_start = frozenset({"shortest", "longest"})
    spectrum = ("log_decay", "frequency", "log_step")
    log_decay: Tensor
    frequency: Tensor
    log_step: Tensor

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
        shortest: Annotated[
            float,
            Field(
                gt=0,
                description=(
                    "least initial step delta, drawn evenly in ln delta; a mode is kept for "
                    "about 2 / delta steps"
                ),
            ),
        ] = 1e-3,
        longest: Annotated[
            float,
            Field(
                gt=0,
                description="largest initial step delta; the larger, the faster the mode forgets",
            ),
        ] = 1e-1,
        generator: Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        if shortest >= longest:
            raise GradscopeError(f"shortest should be below longest, got {shortest} and {longest}")
        self.span = (shortest, longest)
        super().__init__(input_size, hidden_size, generator, dtype, device)

    @torch.no_grad()
    def reset_spectrum(self, generator: Generator | None) -> None:
        """Set A to -1/2 + i pi n, and draw ln delta evenly between its ends."""
        low, high = (math.log(end) for end in self.span)
        self.log_decay.fill_(math.log(0.5))
        self.frequency.copy_(math.pi * torch.arange(self.hidden_size, dtype=torch.float64))
        drawn = torch.rand(self.hidden_size, dtype=torch.float64, generator=generator)
        self.log_step.copy_(low + (high - low) * drawn)

    def eigenvalues(self) -> tuple[Tensor, Tensor, Tensor]:
        """lambda = exp(delta A), and the factor |lambda - 1| / |A|."""
        step, decay = self.log_step.exp(), self.log_decay.exp()
        modulus, phase = torch.exp(-step * decay), step * self.frequency
        a, b = modulus * phase.cos(), modulus * phase.sin()
        size = (decay * decay + self.frequency * self.frequency).sqrt()
        return a, b, ((a - 1).square() + b * b).sqrt() / size
