"""The critical gain of mean field theory."""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

from pydantic import Field
from torch import Generator

from gradscope.dynamics.mean_field_theory import critical_gain
from gradscope.inits._init import Init, Matrix, normal, register


@register("critical")
class Critical(Init):
    """Recurrent weights N(0, g^2 / H) at the gain g where chi = g^2 E[phi'^2] = 1; zero biases.

    At this gain the mean square of a gradient stays the same from step to step.

    Reference: Chen, Pennington and Schoenholz (2018), Dynamical isometry and a mean field theory of
    RNNs.
    """

    activation: Literal["tanh", "erf", "relu", "leaky_relu", "identity"] = Field(
        "tanh",
        description=(
            "phi of the cell that the weights are for, which decides g: tanh or "
            "identity (g = 1 where inputs add no variance), erf, relu (g = sqrt(2)), "
            "leaky_relu"
        ),
    )
    input_variance: float = Field(
        0.0,
        ge=0,
        description=(
            "variance that inputs and biases add to a preactivation u; 0 is a network "
            "without inputs, and of a saturating phi g grows with it"
        ),
    )

    def recurrent(self, size: int, generator: Generator | None) -> Matrix:
        """N(0, g^2 / H)."""
        gain = _gain(self.activation, self.input_variance)
        return normal(size, size, gain / math.sqrt(size), generator)


@cache
def _gain(activation: str, input_variance: float) -> float:
    """The critical gain, which is searched for once and drawn from for every gate."""
    return critical_gain(activation, input_variance=input_variance)
