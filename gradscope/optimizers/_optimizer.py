"""Optimizer: options that build one of torch's optimisers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from pydantic import Field
from torch import Tensor, optim

from gradscope.registry import Component


class Optimizer(Component):
    """Base of all optimisers; the steps themselves are torch.optim's."""

    lr: float = Field(gt=0, description="learning rate")

    @abstractmethod
    def build(self, parameters: Iterable[Tensor]) -> optim.Optimizer:
        """torch's optimiser over these parameters."""
