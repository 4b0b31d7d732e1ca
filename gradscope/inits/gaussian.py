"""Gaussian weights with a gain."""

from __future__ import annotations

import math

from pydantic import Field
from torch import Generator

from gradscope.inits._init import Init, Matrix, normal, register


@register("gaussian")
class Gaussian(Init):
    """Recurrent weights N(0, g^2 / H), zero biases.

    As H grows, the eigenvalues fill a disc of radius g.

    Reference: Sompolinsky, Crisanti and Sommers (1988), Chaos in random neural networks.
    """

    gain: float = Field(
        1.0,
        gt=0,
        description=(
            "gain g: recurrent weights have variance g^2 / hidden_size, so that the "
            "spectral radius is about g"
        ),
    )

    def recurrent(self, size: int, generator: Generator | None) -> Matrix:
        """N(0, g^2 / H)."""
        return normal(size, size, self.gain / math.sqrt(size), generator)
