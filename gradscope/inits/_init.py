"""Init: how a network's weights are drawn."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor

from gradscope.components.base import Component
from gradscope.components.kind import Kind


class Init(Component):
    """An initialisation of recurrent weights and, where its source says so, of the other ones.

    Everything is drawn in float64 on the CPU, so that a seed gives the same weights in any dtype on
    any device.
    """

    component_kind: ClassVar[str] = "init"

    @abstractmethod
    def recurrent(self, size: int, generator: Generator | None) -> Tensor:
        """A recurrent matrix ``(size, size)``, one for each gate."""

    def dense(self, rows: int, columns: int, bound: float, generator: Generator | None) -> Tensor:
        """An input or readout matrix ``(rows, columns)``: torch's U(-bound, bound) unless the
        source has its own.
        """
        return uniform(rows, columns, bound, generator)

    def bias(self, size: int, bound: float, generator: Generator | None) -> Tensor:
        """A bias ``(size,)``: zero unless the source has its own."""
        return torch.zeros(size, dtype=torch.float64)


class GaussianElsewhere(Init):
    """Base of those whose input and readout weights are N(0, std^2)."""

    std: float = Field(gt=0, description="standard deviation of the input and readout weights")

    def dense(self, rows: int, columns: int, bound: float, generator: Generator | None) -> Tensor:
        """N(0, std^2)."""
        return normal(rows, columns, self.std, generator)


class GaussianEverywhere(GaussianElsewhere):
    """Base of those whose every weight is N(0, std^2)."""

    def recurrent(self, size: int, generator: Generator | None) -> Tensor:
        """N(0, std^2)."""
        return normal(size, size, self.std, generator)


def normal(rows: int, columns: int, std: float, generator: Generator | None) -> Tensor:
    """Independent N(0, std^2) entries in float64."""
    return std * torch.randn(rows, columns, dtype=torch.float64, generator=generator)


def uniform(rows: int, columns: int, bound: float, generator: Generator | None) -> Tensor:
    """Independent U(-bound, bound) entries in float64."""
    return bound * (2 * torch.rand(rows, columns, dtype=torch.float64, generator=generator) - 1)


#: every init
INITS: Kind[Init, Init] = Kind("init")
register = INITS.register
