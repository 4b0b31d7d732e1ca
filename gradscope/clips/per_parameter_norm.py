"""Clipping each parameter array by its own norm."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from gradscope.clips._clip import Clip, ratio, register


@register("per_parameter_norm")
class PerParameterNorm(Clip):
    """g_p <- g_p min(1, max_norm / ||g_p||), for each parameter array p.

    The gradients of different arrays lose their relative size.

    Reference: Keras' ``clipnorm``; its ``global_clipnorm`` is ``global_norm`` here.
    """

    max_norm: float = Field(
        1.0,
        gt=0,
        description=("largest 2-norm of the gradient of one parameter array that passes unchanged"),
    )

    def __call__(self, gradients: Sequence[Tensor], norm: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """||clipped g|| / ||g||."""
        clipped = False
        for gradient in gradients:
            array_norm = torch.linalg.vector_norm(gradient, dtype=torch.float64)
            if array_norm > self.max_norm:
                clipped = True
                gradient.mul_((self.max_norm / array_norm).to(gradient.dtype))
        return ratio(gradients, norm, clipped)
