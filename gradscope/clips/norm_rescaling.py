"""Rescaling every gradient to one norm."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from gradscope.clips._clip import Clip, register


@register("norm_rescaling")
class NormRescaling(Clip):
    """g <- g norm / ||g||, at every update: only the direction of the gradient matters.

    A gradient of zero stays zero.

    Reference: Hazan, Levy and Shalev-Shwartz (2015), Beyond convexity: stochastic quasi-convex
    optimization (normalised gradient descent).
    """

    norm: float = Field(
        1.0, gt=0, description="2-norm that the gradient of every update is scaled to, up or down"
    )

    def __call__(self, gradients: Sequence[Tensor], norm: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """norm / ||g||."""
        coefficient = self.norm / norm if bool(norm > 0) else norm.new_ones(())
        for gradient in gradients:
            gradient.mul_(coefficient.to(gradient.dtype))
        return coefficient
