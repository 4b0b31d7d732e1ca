"""An optimiser of somebody's own."""

import torch
from pydantic import Field

from gradscope.optimizers import Optimizer, register


class SignDescent(torch.optim.Optimizer):
    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(group["lr"] * parameter.grad.sign())


@register("signs")
class Signs(Optimizer):
    """Descent along the signs of the gradient."""

    lr: float = Field(0.01, gt=0, description="learning rate")

    def build(self, parameters):
        return SignDescent(parameters, self.lr)
