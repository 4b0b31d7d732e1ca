"""No clipping."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.clips._clip import Clip, register


@register("none")
class NoClip(Clip):
    """Leaves gradients as they are; their norm is recorded all the same."""

    def __call__(self, gradients: Sequence[Tensor], norm: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """1: nothing is clipped."""
        return torch.ones_like(norm)
