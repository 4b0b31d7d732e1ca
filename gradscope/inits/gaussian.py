"""Gaussian with gain."""

from __future__ import annotations

import math

from pydantic import Field
from torch import Generator, Tensor

from gradscope.inits._init import Init, normal, register


@register("gaussian")
class Gaussian(Init):
    """Recurrent weights of variance g^2 / H, zero biases; eigenvalues fill a disc of radius g as H
    grows.

    Reference: Sompolinsky, Crisanti and Sommers (1988), Chaos in random neural networks.
    """

    gain: float = Field(1.0, gt=0, description="g")

    def recurrent(self, size: int, generator: Generator | None) -> Tensor:
        """N(0, g^2 / H)."""
        return normal(size, size, self.gain / math.sqrt(size), generator)
