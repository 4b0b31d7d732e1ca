"""Pascanu's sparse initialisation for tanh units."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Generator

from gradscope.inits._init import GaussianElsewhere, Matrix, normal, register


@register("pascanu_smart_tanh")
class PascanuSmartTanh(GaussianElsewhere):
    """Sparse recurrent weights, 15 nonzero in each row, scaled to spectral radius 0.95.

    Other weights are N(0, 0.01^2); biases are zero. The nonzero weights are drawn from N(0, 1)
    before they are scaled, so their standard deviation does not matter.

    Reference: Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural
    networks: "smart tanh". That the 15 are counted by row is our reading of it.
    """

    std: float = Field(
        0.01, gt=0, description="standard deviation of the input and readout weights, N(0, std^2)"
    )
    nonzeros: int = Field(
        15,
        ge=1,
        description=(
            "nonzero recurrent weights in a row, at random places; all of them where "
            "a row is shorter"
        ),
    )
    spectral_radius: float = Field(
        0.95,
        gt=0,
        description=(
            "largest |eigenvalue| that the recurrent matrix is scaled to; below 1 the "
            "state forgets its start"
        ),
    )

    def recurrent(self, size: int, generator: Generator | None) -> Matrix:
        """The sparse matrix, rescaled by its own spectral radius."""
        dense = normal(size, size, 1.0, generator)
        order = torch.rand(size, size, dtype=torch.float64, generator=generator).argsort(dim=1)
        sparse = torch.where(order < self.nonzeros, dense, torch.zeros_like(dense))
        return sparse * (self.spectral_radius / torch.linalg.eigvals(sparse).abs().max())
