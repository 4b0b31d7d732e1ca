"""Adaptive gradient clipping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from gradscope.clips._clip import Clip, Rule, ratio, register


@register("agc")
class AGC(Clip):
    """g_i <- g_i min(1, factor max(||w_i||, floor) / ||g_i||), for each unit i.

    A unit is a row of a weight matrix, or a whole bias vector. No unit's gradient is larger than a
    share of its weights.

    Reference: Brock, De, Smith and Simonyan (2021), High-performance large-scale image recognition
    without normalization.
    """

    factor: float = Field(
        0.01,
        gt=0,
        description=(
            "largest ||g_i|| / ||w_i|| of a unit i, a row of a weight matrix, that passes unchanged"
        ),
    )
    floor: float = Field(
        1e-3,
        gt=0,
        description=("least value taken for ||w_i||, so that weights that begin at zero can learn"),
    )

    def begin(self, parameters: Mapping[str, Tensor]) -> Rule:
        """The rule that knows the parameters, whose norms it needs."""
        weights = list(parameters.values())

        def rule(gradients: Sequence[Tensor], norm: Tensor) -> Tensor:
            return self._clip(gradients, weights, norm)

        return rule

    def __call__(self, gradients: Sequence[Tensor], norm: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """||clipped g|| / ||g||, with every ||w_i|| at the floor."""
        return self._clip(gradients, [torch.zeros_like(gradient) for gradient in gradients], norm)

    def _clip(self, gradients: Sequence[Tensor], weights: Sequence[Tensor], norm: Tensor) -> Tensor:
        clipped = False
        for gradient, weight in zip(gradients, weights, strict=True):
            bound = self.factor * _units(weight.detach()).clamp_min(self.floor)
            factor = (bound / _units(gradient).clamp_min(1e-38)).clamp_max(1.0)
            clipped = clipped or bool((factor < 1).any())
            gradient.mul_(factor.to(gradient.dtype))
        return ratio(gradients, norm, clipped)


def _units(x: Tensor) -> Tensor:
    """The norm of every row, or of a whole vector."""
    if x.dim() < 2:
        return torch.linalg.vector_norm(x, dtype=torch.float64)
    within = tuple(range(1, x.dim()))
    return torch.linalg.vector_norm(x, dim=within, keepdim=True, dtype=torch.float64)
