"""Clipping at a percentile of the norms seen so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from gradscope.clips._clip import Clip, Rule, register


@register("autoclip")
class AutoClip(Clip):
    """g <- g min(1, eta / ||g||), eta being a percentile of this training's gradient norms so far.

    The present norm is one of them. The bound adapts to the size of a model's gradients; the share
    of clipped updates is about 1 - percentile / 100.

    Reference: Seetharaman, Wichern, Pardo and Le Roux (2020), AutoClip: adaptive gradient clipping
    for source separation networks.
    """

    percentile: float = Field(
        10.0,
        gt=0,
        le=100,
        description=(
            "percentile of the gradient norms so far that is the bound, 0 to 100; at "
            "10 about nine of ten updates are clipped"
        ),
    )

    def begin(self, parameters: Mapping[str, Tensor]) -> Rule:
        """The rule that remembers the norms of this training, none of them seen yet."""
        norms: list[float] = []

        def rule(gradients: Sequence[Tensor], norm: Tensor) -> Tensor:
            norms.append(float(norm))
            return self._clip(gradients, norm, float(np.percentile(norms, self.percentile)))

        return rule

    def __call__(self, gradients: Sequence[Tensor], norm: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """1: the first gradient is its own percentile."""
        return torch.ones_like(norm)

    def _clip(self, gradients: Sequence[Tensor], norm: Tensor, bound: float) -> Tensor:
        coefficient = (bound / norm).clamp(max=1.0) if bool(norm > 0) else torch.ones_like(norm)
        for gradient in gradients:
            gradient.mul_(coefficient.to(gradient.dtype))
        return coefficient
