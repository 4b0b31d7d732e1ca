"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field
from torch import Tensor, optim

from gradscope.optimizers._optimizer import Optimizer, register


@register("rmsprop")
class RMSprop(Optimizer):
    """torch.optim.RMSprop: steps scaled by a running mean of the squared gradient.

    Reference: Tieleman and Hinton (2012), Neural networks for machine learning, lecture 6.5.
    """

    elementwise = True

    lr: float = Field(
        0.001,
        gt=0,
        description=(
            "learning rate: the weights' step for a gradient as large as its root mean square"
        ),
    )
    alpha: float = Field(
        0.9,
        ge=0,
        lt=1,
        description=(
            "share of the mean square that is kept, v <- alpha v + (1 - alpha) g^2; "
            "about 1 / (1 - alpha) updates count"
        ),
    )
    momentum: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the velocity of scaled gradients that is kept; 0 is none",
    )

    def build(self, parameters: Iterable[Tensor]) -> optim.Optimizer:
        """torch's optimiser of these parameters."""
        return optim.RMSprop(parameters, lr=self.lr, alpha=self.alpha, momentum=self.momentum)
