"""Pascanu's sparse one for tanh units."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Generator, Tensor

from gradscope.inits._init import GaussianElsewhere, normal, register


@register("pascanu_smart_tanh")
class PascanuSmartTanh(GaussianElsewhere):
    """Sparse recurrent weights, 15 nonzero in each row, scaled to spectral radius 0.95; others N(0,
    0.01^2); zero biases.

    Reference: Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural
    networks: 'smart tanh'. The nonzeros are drawn from N(0, 1) and then scaled, which makes their
    standard deviation immaterial. That they are counted by row is our reading.
    """

    std: float = Field(
        0.01, gt=0, description="standard deviation of the input and readout weights"
    )
    nonzeros: int = Field(15, ge=1, description="nonzero recurrent weights in a row")
    spectral_radius: float = Field(0.95, gt=0, description="of the recurrent matrix")

    def recurrent(self, size: int, generator: Generator | None) -> Tensor:
        """The sparse matrix, rescaled by its own spectral radius."""
        dense = normal(size, size, 1.0, generator)
        order = torch.rand(size, size, dtype=torch.float64, generator=generator).argsort(dim=1)
        sparse = torch.where(order < self.nonzeros, dense, torch.zeros_like(dense))
        return sparse * (self.spectral_radius / torch.linalg.eigvals(sparse).abs().max())
