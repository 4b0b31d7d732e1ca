"""AdamW."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field
from torch import Tensor, optim

from gradscope.optimizers._optimizer import Optimizer
from gradscope.registry import register


@register("optimizer", "adamw")
class AdamW(Optimizer):
    """torch.optim.AdamW. Loshchilov and Hutter (2019): weight decay decoupled from the gradient."""

    lr: float = Field(0.001, gt=0, description="learning rate")
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of the first moment")
    beta2: float = Field(0.999, ge=0, lt=1, description="decay of the second moment")
    weight_decay: float = Field(0.01, ge=0, description="weight decay")

    def build(self, parameters: Iterable[Tensor]) -> optim.Optimizer:
        """torch.optim.AdamW."""
        return optim.AdamW(parameters, lr=self.lr, betas=(self.beta1, self.beta2), weight_decay=self.weight_decay)
