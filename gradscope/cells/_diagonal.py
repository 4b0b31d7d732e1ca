"""Linear recurrences with a complex diagonal matrix, written in real numbers.

    z_t = lambda z_{t-1} + B x_t        h_t = psi(Re(C z_t) + D x_t)

The state is s = [h, re, im] with z = re + i im; no later step reads h. Multiplication by
lambda = a + i b is the real matrix [[a, -b], [b, a]] for each unit, with both singular values
|lambda|.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from gradscope.cells._cell import Cell
from gradscope.cells._gated import TensorKind, affine, rows, vector
from gradscope.dynamics.activations import ACTIVATIONS


class ComplexDiagonal(Cell):
    """Base of these cells; a subclass says how its parameters make lambda.

    Weights: B ``(2 * hidden, input)``, the real part above the imaginary one; C
    ``(hidden, 2 * hidden)``; D ``(hidden, input)``.
    """

    takes_trials = True
    state_blocks = ("h", "re", "im")
    #: psi
    phi = ACTIVATIONS["gelu"]
    #: names of the parameters ``(hidden)`` that make lambda
    spectrum: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        generator: Generator | None,
        dtype: torch.dtype | None,
        device: torch.device | str | None,
    ):
        super().__init__(input_size, hidden_size)
        kind = TensorKind(dtype=dtype, device=device)
        self.weight_b = nn.Parameter(torch.empty(2 * hidden_size, input_size, **kind))
        self.weight_c = nn.Parameter(torch.empty(hidden_size, 2 * hidden_size, **kind))
        self.weight_d = nn.Parameter(torch.empty(hidden_size, input_size, **kind))
        for name in self.spectrum:
            self.register_parameter(name, nn.Parameter(torch.empty(hidden_size, **kind)))
        self.reset_parameters(generator)

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the weights, then the parameters of lambda.

        B and C are complex normal with variances 1 / (2 input) and 1 / hidden, D is normal with
        variance 1 / input.
        """
        for weight, variance in (
            (self.weight_b, 0.5 / self.input_size),
            (self.weight_c, 1 / self.hidden_size),
            (self.weight_d, 1 / self.input_size),
        ):
            drawn = torch.randn(weight.shape, dtype=torch.float64, generator=generator)
            weight.copy_(math.sqrt(variance) * drawn)
        self.reset_spectrum(generator)

    @abstractmethod
    def reset_spectrum(self, generator: Generator | None) -> None:
        """Draw the parameters of lambda."""

    @abstractmethod
    def eigenvalues(
        self,
    ) -> tuple[
        Float[Tensor, "*trial hidden"],
        Float[Tensor, "*trial hidden"],
        Float[Tensor, "*trial hidden"],
    ]:
        """(Re lambda, Im lambda, a real factor of B x_t)."""

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step."""
        _, re, im = s.chunk(3, dim=-1)
        a, b, scale = (vector(part) for part in self.eigenvalues())
        by_re, by_im = affine(x, self.weight_b).chunk(2, dim=-1)
        after = torch.cat(
            (a * re - b * im + scale * by_re, b * re + a * im + scale * by_im), dim=-1
        )
        return torch.cat((self.phi(self._output(x, after)), after), dim=-1)

    def _output(self, x: Tensor, z: Tensor) -> Tensor:
        """Re(C z) + D x; the columns of weight_c for Im z hold the imaginary part negated."""
        return affine(z, self.weight_c) + affine(x, self.weight_d)

    @torch.no_grad()
    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """[[0, diag(psi') C R], [0, R]] with R = [[a, -b], [b, a]]; only psi' changes with t."""
        a, b, _ = self.eigenvalues()
        rotation = torch.cat(
            (
                torch.cat((a.diag_embed(), -b.diag_embed()), -1),
                torch.cat((b.diag_embed(), a.diag_embed()), -1),
            ),
            -2,
        )
        u = self._output(x, s[..., self.hidden_size :])
        top = rows(self.phi.derivative(u, self.phi(u)), self.weight_c @ rotation)
        rotation = rotation if rotation.dim() == 2 else rotation.unsqueeze(-3)
        below = rotation.expand(*x.shape[:-1], -1, -1)
        right = torch.cat((top, below), dim=-2)
        return torch.cat((right.new_zeros(*right.shape[:-1], self.hidden_size), right), dim=-1)
