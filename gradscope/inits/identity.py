"""The identity matrix of the IRNN."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Generator

from gradscope.inits._init import GaussianElsewhere, Matrix, register


@register("identity")
class Identity(GaussianElsewhere):
    """Recurrent weights scale * I, other weights N(0, std^2), zero biases; with relu, the IRNN.

    Reference: Le, Jaitly and Hinton (2015), A simple way to initialize recurrent networks of
    rectified linear units: scale 1 (0.01 for their 'small' variant) and standard deviation 0.001.
    """

    scale: float = Field(
        1.0,
        gt=0,
        description=(
            "factor of the identity: 1 carries the state on unchanged, below 1 it "
            "decays by that factor a step"
        ),
    )
    std: float = Field(
        0.001, gt=0, description="standard deviation of the input and readout weights, N(0, std^2)"
    )

    def recurrent(self, size: int, generator: Generator | None) -> Matrix:
        """scale * I."""
        return self.scale * torch.eye(size, dtype=torch.float64)
