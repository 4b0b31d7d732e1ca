"""Optimizer: options that build one of torch's optimisers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor, optim

from gradscope.components.base import Component
from gradscope.components.kind import Kind


class Optimizer(Component):
    """Base of all optimisers; the steps themselves are torch.optim's."""

    component_kind: ClassVar[str] = "optimizer"

    lr: float = Field(gt=0, description="learning rate")

    @abstractmethod
    def build(self, parameters: Iterable[Tensor]) -> optim.Optimizer:
        """torch's optimiser over these parameters."""


class AdamFamily(Optimizer):
    """Base of Adam and its variants: the moments' decays."""

    lr: float = Field(0.001, gt=0, description="learning rate")
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of the first moment")
    beta2: float = Field(0.999, ge=0, lt=1, description="decay of the second moment")
    weight_decay: float = Field(ge=0, description="weight decay")

    #: torch's class
    torch_class: ClassVar[type[optim.Optimizer]]

    def build(self, parameters: Iterable[Tensor]) -> optim.Optimizer:
        """torch's optimiser."""
        options: dict[str, Any] = {
            "lr": self.lr,
            "betas": (self.beta1, self.beta2),
            "weight_decay": self.weight_decay,
        }
        return self.torch_class(parameters, **options)


#: every optimizer
OPTIMIZERS: Kind[Optimizer, Optimizer] = Kind("optimizer")
register = OPTIMIZERS.register
