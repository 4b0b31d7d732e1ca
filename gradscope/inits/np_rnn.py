"""Normalised positive-definite recurrent weights for ReLU networks."""

from __future__ import annotations

import math

import torch
from torch import Generator

from gradscope.inits._init import Init, Matrix, normal, register


@register("np_rnn")
class NPRNN(Init):
    """Recurrent weights (A + I) / lambda_max(A + I), with A = R^T R / H and R standard normal.

    One eigenvalue is 1, the others are in (0, 1). Other weights are N(0, alpha^2 / rows) with
    alpha = sqrt(2) exp(1.2 / (max(rows, 6) - 2.4)); biases are zero. With relu this is the np-RNN,
    which is less sensitive to hyperparameters than the IRNN.

    Reference: Talathi and Vartak (2016), Improving performance of recurrent neural network with
    relu nonlinearity.
    """

    def recurrent(self, size: int, generator: Generator | None) -> Matrix:
        """(A + I) / lambda_max."""
        r = torch.randn(size, size, dtype=torch.float64, generator=generator)
        matrix = r.mT @ r / size + torch.eye(size, dtype=torch.float64)
        return matrix / torch.linalg.eigvalsh(matrix)[-1]

    def dense(self, rows: int, columns: int, bound: float, generator: Generator | None) -> Matrix:
        """N(0, alpha^2 / rows)."""
        alpha = math.sqrt(2) * math.exp(1.2 / (max(rows, 6) - 2.4))
        return normal(rows, columns, alpha / math.sqrt(rows), generator)
