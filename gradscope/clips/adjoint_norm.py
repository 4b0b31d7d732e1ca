"""Clipping the adjoint inside backpropagation through time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from gradscope.clips._clip import Clip, register


@register("adjoint_norm")
class AdjointNorm(Clip):
    """dL/ds_t <- dL/ds_t min(1, max_norm / ||dL/ds_t||), for each sequence and step t.

    The adjoint is clipped on its way back through time. This stops an explosion where it happens,
    before gradients are summed over steps, and it changes the direction of the parameters'
    gradient. As the loss is a mean over the batch, adjoints of single sequences are small, and so
    should max_norm be. The parameters' gradient itself is not clipped, and its norm is recorded
    with the adjoint clipped. The unroll runs step by step, which is slower than without this clip.

    Reference: Graves (2013), Generating sequences with recurrent neural networks, who clips every
    element of the adjoint.
    """

    max_norm: float = Field(
        0.1,
        gt=0,
        description=(
            "largest 2-norm of one sequence's adjoint dL/ds_t that passes unchanged; "
            "small, as the loss is a mean over the batch"
        ),
    )

    inside = True

    def clip_adjoint(self, adjoint: Float[Tensor, "batch state"]) -> Float[Tensor, "batch state"]:
        """The adjoint, that of each sequence scaled by its own norm."""
        norms = torch.linalg.vector_norm(adjoint, dim=-1, keepdim=True, dtype=torch.float64)
        return adjoint * (self.max_norm / norms.clamp_min(1e-300)).clamp_max(1.0).to(adjoint.dtype)

    def __call__(self, gradients: Sequence[Tensor], norm: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """1: the gradients stay as they are."""
        return torch.ones_like(norm)
