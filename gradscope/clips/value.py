"""Clipping every element."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from gradscope.clips._clip import Clip, ratio, register


@register("value")
class Value(Clip):
    """g_i <- max(-max_value, min(max_value, g_i)), for every element; the direction may change.

    Reference: Mikolov (2012), Statistical language models based on neural networks.
    """

    max_value: float = Field(
        1.0,
        gt=0,
        description=(
            "largest absolute value of a gradient's element that passes unchanged; "
            "larger ones are set to it"
        ),
    )

    def __call__(self, gradients: Sequence[Tensor], norm: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """||clipped g|| / ||g||."""
        clipped = any(bool((gradient.abs() > self.max_value).any()) for gradient in gradients)
        for gradient in gradients:
            gradient.clamp_(-self.max_value, self.max_value)
        return ratio(gradients, norm, clipped)
