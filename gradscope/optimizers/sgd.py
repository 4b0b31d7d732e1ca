"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field
from torch import Tensor, optim

from gradscope.optimizers._optimizer import Optimizer, register


@register("sgd")
class SGD(Optimizer):
    """torch.optim.SGD: v <- momentum v + g; w <- w - lr v."""

    elementwise = True

    lr: float = Field(
        0.01, gt=0, description="learning rate: the weights' step for a gradient (or velocity) of 1"
    )
    momentum: float = Field(
        0.0,
        ge=0,
        lt=1,
        description=(
            "share of the velocity that is kept, v <- momentum v + g; 0 is plain gradient descent"
        ),
    )
    nesterov: bool = Field(
        False,
        description=(
            "whether the step looks ahead along the velocity, w <- w - lr (g + momentum v), which "
            "needs momentum; false: w <- w - lr v"
        ),
    )

    def model_post_init(self, context: object) -> None:
        """Refuse Nesterov's form without a momentum."""
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")

    def build(self, parameters: Iterable[Tensor]) -> optim.Optimizer:
        """torch's optimiser of these parameters."""
        return optim.SGD(parameters, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov)
