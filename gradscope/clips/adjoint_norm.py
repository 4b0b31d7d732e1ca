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
    """dL/ds_t <- dL/ds_t min(1, max_norm / ||dL/ds_t||) of each sequence at every step t on its way
    back.

    It stops an explosion where it happens, before the sum over steps is made, and changes the
    direction of the parameters' gradient; the losses are means over the batch, so max_norm is
    small. The parameters' gradient itself passes unchanged, and its norm is recorded after the
    adjoint has been clipped. The unroll is then done step by step, slower than otherwise.

    Reference: Graves (2013), Generating sequences with recurrent neural networks, who clips every
    element of it.
    """

    max_norm: float = Field(
        0.1, gt=0, description="largest norm of one sequence's adjoint that passes unchanged"
    )

    inside = True

    def clip_adjoint(self, adjoint: Float[Tensor, "batch state"]) -> Float[Tensor, "batch state"]:
        """Each sequence's own."""
        norms = torch.linalg.vector_norm(adjoint, dim=-1, keepdim=True, dtype=torch.float64)
        return adjoint * (self.max_norm / norms.clamp_min(1e-300)).clamp_max(1.0).to(adjoint.dtype)

    def __call__(self, gradients: Sequence[Tensor], norm: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """1."""
        return torch.ones_like(norm)
