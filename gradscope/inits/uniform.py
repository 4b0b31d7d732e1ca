"""The default of torch.nn."""

from __future__ import annotations

import math

from torch import Generator

from gradscope.inits._init import Init, Matrix, Vector, register
from gradscope.inits._init import uniform as draw


@register("uniform")
class Uniform(Init):
    """U(-1/sqrt(H), 1/sqrt(H)) for every weight and bias, as torch.nn draws them.

    The gain is about 1/sqrt(3).

    Reference: torch.nn.RNNBase.reset_parameters.
    """

    def recurrent(self, size: int, generator: Generator | None) -> Matrix:
        """U(-1/sqrt(H), 1/sqrt(H))."""
        return draw(size, size, 1 / math.sqrt(size), generator)

    def bias(self, size: int, bound: float, generator: Generator | None) -> Vector:
        """U(-bound, bound)."""
        return draw(1, size, bound, generator)[0]
