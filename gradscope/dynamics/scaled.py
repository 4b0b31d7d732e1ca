"""Scaled: matrices and vectors with a logarithmic scale, for products that a float cannot hold."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

#: Frobenius norms between which a running product is left as it is
_LOW, _HIGH = 1e-6, 1e6


def frobenius(x: Float[Tensor, "*batch rows columns"]) -> Float[Tensor, "*batch"]:
    """The Frobenius norm, in float64: summed in x's own dtype where the squares stay well inside
    its range, which is faster.
    """
    norms = torch.linalg.vector_norm(x, dim=(-2, -1))
    if x.dtype != torch.float64 and bool((~((norms > 1e-10) & (norms < 1e15))).any()):
        norms = torch.linalg.vector_norm(x, dim=(-2, -1), dtype=torch.float64)
    return norms.double()


@dataclass(frozen=True)
class Scaled:
    """The tensor mantissa * exp(log_scale).

    Shapes: mantissa ``(..., rows, columns)`` of moderate size (``of`` makes its largest absolute
    entry 1); log_scale ``(...)`` in float64, nats. An exact zero has mantissa 0.
    """

    mantissa: Float[Tensor, "*batch rows columns"]
    log_scale: Float[Tensor, "*batch"]

    @classmethod
    def of(
        cls, tensor: Float[Tensor, "*batch rows columns"], log_scale: Tensor | float = 0.0
    ) -> Scaled:
        """Normalise ``tensor * exp(log_scale)``."""
        largest = tensor.abs().amax((-2, -1))
        safe = torch.where(largest > 0, largest, torch.ones_like(largest))
        return cls(tensor / safe[..., None, None], largest.double().log() + log_scale)

    def __matmul__(self, other: Scaled) -> Scaled:
        """The product, normalised again."""
        return Scaled.of(self.mantissa @ other.mantissa, self.log_scale + other.log_scale)

    def __getitem__(self, index: int | slice | Tensor) -> Scaled:
        """Along the first leading axis."""
        return Scaled(self.mantissa[index], self.log_scale[index])

    def matrix(self) -> Float[Tensor, "*batch rows columns"]:
        """The plain tensor, in float64; it may under- or overflow, which is what the scale is for."""
        return self.mantissa.double() * self.log_scale.exp()[..., None, None]

    def log_frobenius_norm(self) -> Float[Tensor, "*batch"]:
        """ln of the Frobenius norm, nats; -inf where exactly zero."""
        return self.log_scale + frobenius(self.mantissa).log()

    def log_spectral_norm(self) -> Float[Tensor, "*batch"]:
        """ln of the largest singular value, nats; -inf where exactly zero.

        From the largest eigenvalue of the smaller Gram matrix in float64: relative error of order
        eps * size.
        """
        m = self.mantissa.double()
        gram = m @ m.mT if m.shape[-2] <= m.shape[-1] else m.mT @ m
        return self.log_scale + 0.5 * torch.linalg.eigvalsh(gram)[..., -1].clamp_min(0).log()

    def log_singular_values(self) -> Float[Tensor, "*batch values"]:
        """ln of the singular values, descending, nats.

        Values less than eps times the largest are lost in a product formed in floating point; they
        are NaN here rather than noise.
        """
        values = torch.linalg.svdvals(self.mantissa.double())
        floor = values[..., :1] * torch.finfo(self.mantissa.dtype).eps * self.mantissa.shape[-1]
        known = torch.where(
            (values > floor) | (values[..., :1] == 0), values, torch.full_like(values, torch.nan)
        )
        return self.log_scale[..., None] + known.log()


def rescaled(
    mantissa: Float[Tensor, "*batch rows columns"], log_scale: Float[Tensor, "*batch"]
) -> Scaled:
    """The products, in place, rescaled where one has left the range in which squares and further
    products are safe.
    """
    norms = frobenius(mantissa).to(mantissa.dtype)
    drifted = ((norms < _LOW) | (norms > _HIGH)) & (norms > 0)
    if bool(drifted.any()):
        factor = torch.where(drifted, norms, torch.ones_like(norms))
        mantissa.div_(factor[..., None, None])
        log_scale.add_(factor.double().log())
    return Scaled(mantissa, log_scale)


def norms(x: Float[Tensor, "*any vector"]) -> Float[Tensor, "*any"]:
    """2-norms over the last axis in float64, right where squares would under- or overflow too.

    In x's own precision first, which is many times faster; what lies where squares are lost is done
    again in float64.
    """
    found = torch.linalg.vector_norm(x, dim=-1).double()
    if x.dtype == torch.float64:
        return found
    doubtful = ~((found > 1e-15) & (found < 1e18))
    if bool(doubtful.any()):
        found[doubtful] = torch.linalg.vector_norm(x[doubtful].double(), dim=-1)
    return found
