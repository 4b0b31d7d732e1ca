"""Clip: a rule that bounds the parameters' gradient before an optimiser step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.registry import Component


def gradient_norm(gradients: Sequence[Tensor]) -> Float[Tensor, ""]:
    """The 2-norm over all gradients together, in float64, so that squares of float32 numbers cannot overflow."""
    return torch.linalg.vector_norm(torch.cat([g.flatten() for g in gradients]), dtype=torch.float64)


class Clip(Component):
    """Base of all clips."""

    @abstractmethod
    def __call__(self, gradients: Sequence[Tensor], norm: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """Change the gradients in place.

        Args:
            gradients: one tensor for each parameter.
            norm: their ``gradient_norm`` as they come in.

        Returns:
            clip_coefficient: the norm after over the norm before, which is the factor applied where all gradients are
            scaled by one; exactly 1 where nothing was clipped.
        """


def ratio(gradients: Sequence[Tensor], norm: Float[Tensor, ""], clipped: bool) -> Float[Tensor, ""]:
    """The coefficient of a rule that does not scale all gradients by one factor."""
    return gradient_norm(gradients) / norm if clipped else torch.ones_like(norm)
