"""A recurrent network whose matrix stays orthogonal."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from gradscope.cells._cell import register
from gradscope.cells._elman import ElmanCell


@register("orthogonal_rnn")
class OrthogonalRNN(ElmanCell):
    """An Elman network whose recurrent matrix is orthogonal, and stays so in training.

        h_t = phi(W_ih x_t + exp(A - A^T) h_{t-1} + b)

    State s = h. Only phi' changes the norms of gradients. weight_hh is A; at the start its
    exponential rotates pairs of units by angles drawn from [-pi, pi].

    Reference: Lezcano-Casado and Martinez-Rubio (2019), Cheap orthogonal constraints in neural
    networks (expRNN); the start: Henaff, Szlam and LeCun (2016), Recurrent orthogonal networks and
    long-memory tasks.
    """

    derived = True

    @torch.no_grad()
    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the weights; A - A^T gets an angle for every pair of units."""
        super().reset_parameters(generator)
        assert self.weight_hh is not None
        self.weight_hh.zero_()
        pairs = self.hidden_size // 2
        angles = torch.pi * (2 * torch.rand(pairs, dtype=torch.float64, generator=generator) - 1)
        at = 2 * torch.arange(pairs)
        self.weight_hh[at + 1, at] = angles.to(self.weight_hh)

    def recurrent_weight(self) -> Float[Tensor, "*trial hidden hidden"]:
        """exp(A - A^T)."""
        assert self.weight_hh is not None
        return torch.linalg.matrix_exp(self.weight_hh - self.weight_hh.mT)
