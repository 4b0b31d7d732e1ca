"""Critical by mean field."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field
from torch import Generator, Tensor

from gradscope.dynamics.mean_field_theory import critical_gain
from gradscope.inits._init import Init, normal, register


@register("critical")
class Critical(Init):
    """Recurrent weights N(0, g^2 / H) at the gain where chi = g^2 E[phi'^2] = 1: a gradient's mean
    square stays; zero biases.

    Reference: Chen, Pennington and Schoenholz (2018), Dynamical isometry and a mean field theory of
    RNNs.
    """

    activation: Literal["tanh", "erf", "relu", "leaky_relu", "identity"] = Field(
        "tanh", description="the cell's activation"
    )
    input_variance: float = Field(
        0.0, ge=0, description="variance that the inputs add to a preactivation"
    )

    def recurrent(self, size: int, generator: Generator | None) -> Tensor:
        """N(0, g^2 / H)."""
        gain = critical_gain(self.activation, input_variance=self.input_variance)
        return normal(size, size, gain / math.sqrt(size), generator)
