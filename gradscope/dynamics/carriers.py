"""What carries columns along a trajectory: a step's Jacobian as a matrix, or by its products alone.

A matrix gives most: exact zeros in it are seen. Products J_t v need no matrix, so that a state may
have any length; what they say of exact zeros is which coordinates are reached.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.scaled import vector_norms
from gradscope.dynamics.support import Support
from gradscope.errors import GradscopeError

#: maps vectors ``(*any, state)`` by the derivative of one step
Products = Callable[[Tensor], Tensor]

#: absolute entries between which matrices are multiplied as they are
_LOW, _HIGH = 1e-50, 1e50
#: by how much vectors are made larger, or smaller, that are lost in their dtype
_LARGE = 1e30
#: ln of the ratio between the longest and the shortest column that is allowed before they are made
#: orthonormal again, by the dtype in which they are carried; six digits of sixteen are left, or of
#: seven five
_SPREADS = {torch.float64: 22.0, torch.float32: 5.0}


class Carrier(ABC):
    """The derivative of one step, as it carries columns on.

    Attributes:
        dtype: in which its entries, or its products, are computed.
        spread: ln of the ratio of the longest column to the shortest that is safe.
    """

    dtype: torch.dtype
    spread: float

    @abstractmethod
    def carry(
        self, columns: Float[Tensor, "batch state k"]
    ) -> tuple[Float[Tensor, "batch state k"], Float[Tensor, " batch"]]:
        """J V up to a factor, in float64, and ln of the factor."""

    @abstractmethod
    def mark(self, support: Support, carried: Float[Tensor, "batch state k"]) -> None:
        """Say to the support what this step, which made these columns, leaves of the rank."""


class MatrixCarrier(Carrier):
    """A step's Jacobian.

    Args:
        jacobian: ``(batch, state, state)``.
    """

    def __init__(self, jacobian: Float[Tensor, "batch state state"]):
        self.jacobian, self.dtype = jacobian, jacobian.dtype
        self.spread = _SPREADS[torch.float64]  # columns are multiplied in float64
        self.matrix, self.log_scale = _moderate(jacobian.double())

    def carry(
        self, columns: Float[Tensor, "batch state k"]
    ) -> tuple[Float[Tensor, "batch state k"], Float[Tensor, " batch"]]:
        """The matrix product."""
        product, scale = _moderate(self.matrix @ columns)
        return product, self.log_scale + scale

    def mark(self, support: Support, carried: Float[Tensor, "batch state k"]) -> None:
        """The zeros of the matrix."""
        support.follow(self.jacobian)


class ProductCarrier(Carrier):
    """A step's derivative by its products J_t v, or J_t^T a.

    Args:
        products: maps ``(k, batch, state)``, all k at once.
        dtype: that it takes and gives.
        t: the step, for what is said of it.
    """

    def __init__(self, products: Products, dtype: torch.dtype, t: int):
        self.products, self.dtype, self.t = products, dtype, t
        self.spread = _SPREADS[dtype]

    def carry(
        self, columns: Float[Tensor, "batch state k"]
    ) -> tuple[Float[Tensor, "batch state k"], Float[Tensor, " batch"]]:
        """The products of all columns, taken at a size of 1.

        Raises:
            GradscopeError: if they are not finite.
        """
        sizes = columns.abs().amax((-2, -1))
        safe = torch.where(sizes > 0, sizes, 1.0)
        vectors = (columns / safe[:, None, None]).movedim(-1, 0).to(self.dtype)
        image, logs = self.products(vectors), safe.log()
        for factor in (_LARGE, 1 / _LARGE):
            lost = _lost(image.abs().amax((0, 2)), self.dtype, factor) & (sizes > 0)
            if not bool(lost.any()):
                continue
            image = torch.where(lost[:, None], self.products(vectors * factor), image)
            logs = torch.where(lost, safe.log() - math.log(factor), logs)
        if not bool(image.isfinite().all()):
            raise _not_finite(self.t)
        carried, scale = _moderate(image.double().movedim(0, -1))
        return carried, logs + scale

    def mark(self, support: Support, carried: Float[Tensor, "batch state k"]) -> None:
        """The coordinates that are reached."""
        support.reach(carried)


def carried(
    products: Products, vectors: Float[Tensor, "*any state"]
) -> tuple[Float[Tensor, "*any state"], Float[Tensor, "*any"]]:
    """(J v normalised, ln of its norm) for unit vectors v; -inf where it is exactly zero.

    Vectors that leave the range of their dtype are carried again, made larger or smaller first. One
    that is zero stays so.
    """
    image = products(vectors)
    norms = vector_norms(image)
    logs = norms.log()
    for factor in (_LARGE, 1 / _LARGE):
        lost = _lost(norms, vectors.dtype, factor)
        if not bool(lost.any()) or not bool(vectors[lost].any()):
            continue
        again = products(vectors * factor)
        sizes = vector_norms(again)
        image = torch.where(lost[..., None], again, image)
        logs = torch.where(lost, sizes.log() - math.log(factor), logs)
        norms = torch.where(lost, sizes, norms)
    unit = torch.where(norms[..., None] > 0, image.double() / norms[..., None], 0)
    return unit.to(vectors.dtype), logs


def _lost(sizes: Tensor, dtype: torch.dtype, factor: float) -> Tensor:
    """Which sizes are so small, or so large, that digits are lost that this factor brings back."""
    info = torch.finfo(dtype)
    return sizes < info.tiny / info.eps if factor > 1 else ~sizes.isfinite()


def _not_finite(t: int) -> GradscopeError:
    return GradscopeError(
        f"the derivative of the step at t = {t} is not finite: look for NaN or inf in the weights, "
        "the inputs or the states"
    )


def _moderate(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The same matrices, divided by their largest entry where that is very small or large; its ln.

    Zeros stay as they are.
    """
    largest = matrix.abs().amax((-2, -1))
    extreme = ((largest < _LOW) | (largest > _HIGH)) & (largest > 0)
    if not bool(extreme.any()):
        return matrix, torch.zeros_like(largest)
    factor = torch.where(extreme, largest, torch.ones_like(largest))
    return matrix / factor[:, None, None], factor.log()
