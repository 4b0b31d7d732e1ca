"""Matrices and vectors with a logarithmic scale, for products that a float cannot hold."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

#: Frobenius norms between which a running product is left as it is
_LOW, _HIGH = 1e-6, 1e6
#: norms between which squares are safe to sum, by dtype
_SAFE = {torch.float32: (1e-15, 1e18), torch.float64: (1e-140, 1e150)}


@dataclass(frozen=True, eq=False)
class Scaled:
    """The matrices mantissa * exp(log_scale).

    Shapes: mantissa ``(..., rows, columns)``, of moderate size (``Scaled.of`` makes its largest
    absolute entry 1); log_scale ``(...)`` in float64, nats. An exact zero has mantissa 0.

    >>> tiny = Scaled.of(torch.eye(2), log_scale=-900.0)  # e^-900, far below what a float holds
    >>> float((tiny @ tiny).log_spectral_norm())
    -1800.0
    """

    mantissa: Float[Tensor, "*batch rows columns"]
    log_scale: Float[Tensor, "*batch"]

    @classmethod
    def of(
        cls, tensor: Float[Tensor, "*batch rows columns"], log_scale: Tensor | float = 0.0
    ) -> Scaled:
        """``tensor * exp(log_scale)``, its largest absolute entry moved into the scale."""
        largest = tensor.abs().amax((-2, -1))
        safe = torch.where(largest > 0, largest, torch.ones_like(largest))
        return cls(tensor / safe[..., None, None], largest.double().log() + log_scale)

    def __matmul__(self, other: Scaled) -> Scaled:
        """The product, normalised again."""
        return Scaled.of(self.mantissa @ other.mantissa, self.log_scale + other.log_scale)

    def __getitem__(self, index: int | slice | Tensor) -> Scaled:
        """Some of the matrices, by an index into the first leading axis."""
        return Scaled(self.mantissa[index], self.log_scale[index])

    def matrix(self) -> Float[Tensor, "*batch rows columns"]:
        """The plain matrices in float64; they may over- or underflow where the scale does not."""
        return self.mantissa.double() * self.log_scale.exp()[..., None, None]

    def log_frobenius_norm(self) -> Float[Tensor, "*batch"]:
        """ln of the Frobenius norm, nats; -inf where exactly zero."""
        return self.log_scale + frobenius_norm(self.mantissa).log()

    def log_spectral_norm(self) -> Float[Tensor, "*batch"]:
        """ln of the largest singular value, nats; -inf where exactly zero.

        From the largest eigenvalue of the smaller Gram matrix in float64, with a relative error of
        order eps * size.
        """
        matrix = self.mantissa.double()
        wide = matrix.shape[-2] <= matrix.shape[-1]
        gram = matrix @ matrix.mT if wide else matrix.mT @ matrix
        return self.log_scale + 0.5 * torch.linalg.eigvalsh(gram)[..., -1].clamp_min(0).log()

    def log_singular_values(self) -> Float[Tensor, "*batch values"]:
        """ln of the singular values, descending, nats.

        A value below eps times the largest is rounding noise in a product formed in floating point,
        so it is NaN here. ``singular_value_spectrum`` gives all of them.
        """
        values = torch.linalg.svdvals(self.mantissa.double())
        floor = values[..., :1] * torch.finfo(self.mantissa.dtype).eps * self.mantissa.shape[-1]
        known = (values > floor) | (values[..., :1] == 0)
        return self.log_scale[..., None] + torch.where(known, values, torch.nan).log()


class Adjoints:
    """Gradients of the loss with respect to every state, a_t = dL/ds_t for t = 0 .. time.

    a_t is ``mantissa * exp(log_scale)``, so that no value under- or overflows.

    Shapes: mantissa ``(time + 1, batch, state)``; log_scale ``(time + 1, batch)`` in float64, nats.

    Attributes:
        mantissa: the vectors up to their scales.
        log_scale: the scale of each step and sequence.
        by_input: dL/dx_t for t = 1 .. time in the same form; None for immediate gradients.
    """

    def __init__(
        self,
        mantissa: Float[Tensor, "steps batch state"],
        log_scale: Float[Tensor, "steps batch"] | None = None,
        by_input: Adjoints | None = None,
        log_norms: Float[Tensor, "steps batch"] | None = None,
    ):
        if log_scale is None:
            shape = mantissa.shape[:2]
            log_scale = torch.zeros(shape, dtype=torch.float64, device=mantissa.device)
        self.mantissa, self.log_scale, self.by_input = mantissa, log_scale, by_input
        self._log_norms = log_norms

    def __repr__(self) -> str:
        steps, batch, size = self.mantissa.shape
        return f"Adjoints({steps} steps, {batch} sequences, vectors of {size})"

    def values(self) -> Float[Tensor, "steps batch state"]:
        """The plain vectors in float64; they may underflow where the scale does not."""
        return self.mantissa.double() * self.log_scale.exp()[..., None]

    def on(self, log_scale: Tensor) -> Tensor:
        """The vectors over exp(log_scale), in their own dtype; zeros stay zero."""
        shift = torch.where(self.log_norms() > -torch.inf, self.log_scale - log_scale, -torch.inf)
        return (self.mantissa.double() * shift.exp()[..., None]).to(self.mantissa.dtype)

    def on_one_scale(self) -> tuple[Tensor, Float[Tensor, ""]]:
        """(vectors, log scale) with the scale of the largest vector for all of them."""
        largest = self.log_norms().amax() if self.mantissa.numel() else self.log_scale.new_zeros(())
        scale = torch.where(largest.isfinite(), largest, torch.zeros_like(largest))
        return self.on(scale), scale

    def __add__(self, other: Adjoints) -> Adjoints:
        """The sum, on the larger of the two scales at each step of each sequence."""
        larger = torch.maximum(self.log_norms(), other.log_norms())
        scale = torch.where(larger.isfinite(), larger, torch.zeros_like(larger))
        return Adjoints(self.on(scale) + other.on(scale), scale)

    def log_norms(self, block: slice | None = None) -> Float[Tensor, "steps batch"]:
        """ln ||a_t|| of each sequence, or of one block of the state; nats, -inf where zero."""
        if block is not None:
            return self.log_scale + vector_norms(self.mantissa[..., block]).log()
        if self._log_norms is None:
            self._log_norms = self.log_scale + vector_norms(self.mantissa).log()
        return self._log_norms

    def log_norm(self, block: slice | None = None) -> Float[Tensor, " steps"]:
        """ln ||a_t|| over state and batch together, nats."""
        return 0.5 * torch.logsumexp(2 * self.log_norms(block), dim=-1)


def rescaled(
    mantissa: Float[Tensor, "*batch rows columns"], log_scale: Float[Tensor, "*batch"]
) -> Scaled:
    """Rescale, in place, the matrices that have left the range in which products are safe."""
    norms = frobenius_norm(mantissa).to(mantissa.dtype)
    drifted = ((norms < _LOW) | (norms > _HIGH)) & (norms > 0)
    if bool(drifted.any()):
        factor = torch.where(drifted, norms, torch.ones_like(norms))
        mantissa.div_(factor[..., None, None])
        log_scale.add_(factor.double().log())
    return Scaled(mantissa, log_scale)


def frobenius_norm(x: Float[Tensor, "*batch rows columns"]) -> Float[Tensor, "*batch"]:
    """Frobenius norms in float64, as ``vector_norms``."""
    return vector_norms(x.flatten(-2))


def vector_norms(x: Float[Tensor, "*any vector"]) -> Float[Tensor, "*any"]:
    """2-norms over the last axis in float64, right where squares would under- or overflow too.

    Computed in x's own dtype first, which is many times faster; norms so small or large that their
    squares are unsafe there are computed again in float64, of vectors brought to a size of 1.
    """
    norms = torch.linalg.vector_norm(x, dim=-1).double()
    low, high = _SAFE[x.dtype]
    doubtful = ~((norms > low) & (norms < high))
    if bool(doubtful.any()):
        vectors = x[doubtful].double()
        sizes = vectors.abs().amax(-1, keepdim=True)
        scaled = vectors / torch.where((sizes > 0) & sizes.isfinite(), sizes, 1.0)
        whole = torch.linalg.vector_norm(scaled, dim=-1)
        norms[doubtful] = torch.where(whole.isfinite(), whole * sizes[..., 0], whole)
    return norms
