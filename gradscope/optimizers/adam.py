"""Adam."""

from __future__ import annotations

from pydantic import Field
from torch import optim

from gradscope.optimizers._optimizer import AdamFamily, register


@register("adam")
class Adam(AdamFamily):
    """torch.optim.Adam: steps scaled by running means of the gradient and of its square.

    Reference: Kingma and Ba (2015), Adam: a method for stochastic optimization.
    """

    weight_decay: float = Field(
        0.0,
        ge=0,
        description=(
            "L2 penalty: weight_decay w is added to the gradient before its moments "
            "are taken; 0 is none"
        ),
    )
    torch_class = optim.Adam
