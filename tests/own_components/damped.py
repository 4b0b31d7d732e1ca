"""A clip of somebody's own."""

import torch
from pydantic import Field

from gradscope.clips import Clip, register


@register("damped")
class Damped(Clip):
    """Every gradient times a constant."""

    factor: float = Field(0.5, gt=0, description="of the gradient that is left")

    def __call__(self, gradients, norm):
        for gradient in gradients:
            gradient.mul_(self.factor)
        return torch.tensor(self.factor, dtype=norm.dtype)
