"""Clipping by the global norm."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from gradscope.clips._clip import Clip, register


@register("global_norm")
class GlobalNorm(Clip):
    """g <- g min(1, max_norm / ||g||), with ||g|| over all parameters; the direction stays.

    Reference: Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural
    networks, algorithm 1.
    """

    max_norm: float = Field(
        1.0,
        gt=0,
        description="largest 2-norm of the gradient over all parameters that passes unchanged",
    )

    def __call__(self, gradients: Sequence[Tensor], norm: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """min(1, max_norm / ||g||)."""
        coefficient = (self.max_norm / norm).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(coefficient.to(gradient.dtype))
        return coefficient
