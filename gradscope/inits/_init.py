"""Init: how a network's weights are drawn."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float64
from pydantic import Field
from torch import Generator, Tensor

from gradscope.components.base import Component
from gradscope.components.kind import Kind

Matrix = Float64[Tensor, "rows columns"]
Vector = Float64[Tensor, " size"]


class Init(Component):
    """Base of all initialisations.

    Each draws recurrent weights and, where its source says how, the other weights and the biases.
    Everything is drawn in float64 on the CPU, so that a seed gives the same weights in any dtype
    and on any device.

    >>> from gradscope.inits import INITS
    >>> init = INITS.make({"name": "orthogonal", "gain": 2.0})
    >>> weight = init.recurrent(3, Generator().manual_seed(0))
    >>> torch.allclose(weight @ weight.T, 4 * torch.eye(3, dtype=weight.dtype))
    True
    """

    component_kind: ClassVar[str] = "init"

    @abstractmethod
    def recurrent(self, size: int, generator: Generator | None) -> Matrix:
        """A recurrent matrix ``(size, size)``; a cell with gates draws one for each."""

    def dense(self, rows: int, columns: int, bound: float, generator: Generator | None) -> Matrix:
        """An input or readout matrix ``(rows, columns)``: U(-bound, bound), as torch draws it."""
        return uniform(rows, columns, bound, generator)

    def bias(self, size: int, bound: float, generator: Generator | None) -> Vector:
        """A bias ``(size,)``: zero."""
        return torch.zeros(size, dtype=torch.float64)


class GaussianElsewhere(Init):
    """Base of the initialisations whose input and readout weights are N(0, std^2)."""

    std: float = Field(
        gt=0, description="standard deviation of the weights that are drawn from N(0, std^2)"
    )

    def dense(self, rows: int, columns: int, bound: float, generator: Generator | None) -> Matrix:
        """N(0, std^2)."""
        return normal(rows, columns, self.std, generator)


class GaussianEverywhere(GaussianElsewhere):
    """Base of the initialisations whose every weight is N(0, std^2)."""

    def recurrent(self, size: int, generator: Generator | None) -> Matrix:
        """N(0, std^2)."""
        return normal(size, size, self.std, generator)


def normal(rows: int, columns: int, std: float, generator: Generator | None) -> Matrix:
    """A matrix of independent N(0, std^2) entries."""
    return std * torch.randn(rows, columns, dtype=torch.float64, generator=generator)


def uniform(rows: int, columns: int, bound: float, generator: Generator | None) -> Matrix:
    """A matrix of independent U(-bound, bound) entries."""
    return bound * (2 * torch.rand(rows, columns, dtype=torch.float64, generator=generator) - 1)


#: every init
INITS: Kind[Init, Init] = Kind("init")
register = INITS.register
