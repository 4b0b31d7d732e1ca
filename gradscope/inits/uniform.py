"""torch's default."""

from __future__ import annotations

import math

from torch import Generator, Tensor

from gradscope.inits._init import Init, register
from gradscope.inits._init import uniform as draw


@register("uniform")
class Uniform(Init):
    """U(-1/sqrt(H), 1/sqrt(H)) for every weight and bias, as torch.nn draws them; a gain of about
    1/sqrt(3).

    Reference: torch.nn.RNNBase.reset_parameters.
    """

    def recurrent(self, size: int, generator: Generator | None) -> Tensor:
        """U(-1/sqrt(H), 1/sqrt(H))."""
        return draw(size, size, 1 / math.sqrt(size), generator)

    def bias(self, size: int, bound: float, generator: Generator | None) -> Tensor:
        """U(-bound, bound)."""
        return draw(1, size, bound, generator)[0]
