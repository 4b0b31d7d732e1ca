"""The normalised positive-definite start of ReLU networks."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from gradscope.inits._init import Init, normal, register


@register("np_rnn")
class NPRNN(Init):
    """Recurrent weights (A + I) / lambda_max(A + I) with A = R^T R / H, R normal: one eigenvalue 1,
    the others in (0, 1).

    Other weights N(0, alpha^2 / rows) with alpha = sqrt(2) exp(1.2 / (max(H, 6) - 2.4)), zero
    biases; with relu the np-RNN, which is less touchy than the IRNN.

    Reference: Talathi and Vartak (2016), Improving performance of recurrent neural network with
    relu nonlinearity.
    """

    def recurrent(self, size: int, generator: Generator | None) -> Tensor:
        """(A + I) / lambda_max."""
        r = torch.randn(size, size, dtype=torch.float64, generator=generator)
        matrix = r.mT @ r / size + torch.eye(size, dtype=torch.float64)
        return matrix / torch.linalg.eigvalsh(matrix)[-1]

    def dense(self, rows: int, columns: int, bound: float, generator: Generator | None) -> Tensor:
        """N(0, alpha^2 / rows)."""
        alpha = math.sqrt(2) * math.exp(1.2 / (max(rows, 6) - 2.4))
        return normal(rows, columns, alpha / math.sqrt(rows), generator)
