"""Optimizer: options from which one of torch's optimisers is built."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from pydantic import Field
from torch import Tensor, optim

from gradscope.components.base import Component
from gradscope.components.kind import Kind


class Optimizer(Component):
    """Base of all optimisers; torch.optim does the steps.

    >>> from gradscope.optimizers import OPTIMIZERS
    >>> weight = Tensor([1.0]).requires_grad_()
    >>> OPTIMIZERS.make({"name": "sgd", "lr": 0.1}).build([weight])  # doctest: +ELLIPSIS
    SGD (...
    """

    component_kind: ClassVar[str] = "optimizer"

    #: whether a weight's step depends on its gradients alone: many trials are stepped as one then
    elementwise: ClassVar[bool] = False
    lr: float = Field(gt=0, description="learning rate, the factor of a step")

    @abstractmethod
    def build(self, parameters: Iterable[Tensor]) -> optim.Optimizer:
        """torch's optimiser of these parameters."""


class AdamFamily(Optimizer):
    """Base of Adam and its variants."""

    elementwise = True

    lr: float = Field(
        0.001,
        gt=0,
        description=(
            "learning rate: about how far a weight moves in a step, whatever its gradient's size"
        ),
    )
    beta1: float = Field(
        0.9,
        ge=0,
        lt=1,
        description=(
            "share of the gradient's running mean that is kept, m <- beta1 m + (1 - beta1) g"
        ),
    )
    beta2: float = Field(
        0.999,
        ge=0,
        lt=1,
        description=(
            "share of the squared gradient's running mean that is kept, v <- beta2 v "
            "+ (1 - beta2) g^2"
        ),
    )
    weight_decay: float = Field(
        ge=0, description="how fast weights shrink beside the gradient's step; 0 is not at all"
    )

    #: the class of torch.optim
    torch_class: ClassVar[type[optim.Adam] | type[optim.AdamW]]

    def build(self, parameters: Iterable[Tensor]) -> optim.Optimizer:
        """torch's optimiser of these parameters."""
        betas = (self.beta1, self.beta2)
        return self.torch_class(parameters, lr=self.lr, betas=betas, weight_decay=self.weight_decay)


#: every optimizer
OPTIMIZERS: Kind[Optimizer, Optimizer] = Kind("optimizer")
register = OPTIMIZERS.register
