"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field
from torch import Tensor, optim

from gradscope.optimizers._optimizer import Optimizer, register


@register("sgd")
class SGD(Optimizer):
    """torch.optim.SGD: v <- momentum v + g; w <- w - lr v."""

    lr: float = Field(0.01, gt=0, description="learning rate")
    momentum: float = Field(0.0, ge=0, lt=1, description="of the velocity")
    nesterov: bool = Field(False, description="Nesterov's form of momentum")

    def model_post_init(self, context: object) -> None:
        """Refuse Nesterov's form without a momentum."""
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")

    def build(self, parameters: Iterable[Tensor]) -> optim.Optimizer:
        """torch's optimiser of these parameters."""
        return optim.SGD(parameters, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov)
