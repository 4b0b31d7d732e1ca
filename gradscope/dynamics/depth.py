"""What a stack of layers does to a gradient, and how much of that is the skip path's."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.resolution import resolved
from gradscope.dynamics.scaled import Scaled, vector_norms
from gradscope.dynamics.trace import Trace
from gradscope.errors import GradscopeError


@dataclass(frozen=True, eq=False)
class DepthGain:
    """Gain and share of the identity of Jacobians, by layer.

    With d the length of the state and c = tr(J) / d, the nearest multiple of the identity is c I,
    and J = c I + R with R orthogonal to it.

    Shapes: all ``(layers, batch)``; standard errors are 0 where all of J was looked at.

    Attributes:
        log_gain: ln(||J||_F / sqrt(d)), nats: by how much J^T makes a random vector longer, root
            mean square; 0 of the identity.
        log_gain_error: its standard error.
        scale: c, the part of the identity in J.
        scale_error: its standard error.
        identity_share: c^2 d / ||J||_F^2, from 0 to 1: the share of J's squared norm that is the
            identity's, which is the squared cosine between J and I; 1 of any multiple of I.
        identity_share_error: its standard error.
        log_rest: ln(||R||_F / sqrt(d)), nats: what J does besides; -inf where nothing.
    """

    log_gain: Float[Tensor, "layers batch"]
    log_gain_error: Float[Tensor, "layers batch"]
    scale: Float[Tensor, "layers batch"]
    scale_error: Float[Tensor, "layers batch"]
    identity_share: Float[Tensor, "layers batch"]
    identity_share_error: Float[Tensor, "layers batch"]
    log_rest: Float[Tensor, "layers batch"]


@torch.no_grad()
def depth_gain(trace: Trace, *, probes: int = 16, each: bool = False, seed: int = 0) -> DepthGain:
    """How large d x_L / d x_l is for every layer l, and how much of it is the identity.

    In a residual stack the identity is the skip path: a share near 1 says that the blocks between
    hardly matter to the gradient, a share near 0 that it passes through them. Estimated with random
    vectors of +1 and -1 that are taken back once for all layers (Hutchinson), so that no matrix is
    formed; all of J is looked at where the state is no longer than ``probes``.

        gain = gradscope.depth_gain(scope.trace("blocks.depth"))
        gain.log_gain[0]        # ln of the gain of d x_L / d x_0, nats, of each sample
        gain.identity_share[0]  # how much of it is the skip path

    Args:
        trace: of a stack of layers (``attach(depth=...)``); any other serves, its steps being the
            layers.
        probes: random vectors; errors fall with their root.
        each: of each layer's own Jacobian d x_l / d x_{l-1} in the place of the product.
        seed: of the random vectors.

    Returns:
        Of the product: for l = 0 .. L, the last being the identity itself. Of each layer: for l = 1
        .. L.

    Raises:
        GradscopeError: for fewer than two probes, or an empty trace.

    Reference: Hutchinson (1990), A stochastic estimator of the trace of the influence matrix.
    """
    if probes < 2:
        raise GradscopeError(f"depth_gain: at least 2 probes are needed for an error, got {probes}")
    if trace.time == 0:
        raise GradscopeError("the trace is empty: a Jacobian needs at least one layer")
    trace = resolved(trace)
    size = trace.states.shape[-1]
    exact = size <= probes
    vectors = _units(trace) if exact else _signs(trace, probes, seed)
    taken = [_each(trace, v) if each else _products(trace, v) for v in vectors]
    log_norms = torch.stack([norms for norms, _ in taken])
    cosines = torch.stack([cosines for _, cosines in taken])
    return _gain(log_norms, cosines, exact=exact)


def _units(trace: Trace) -> Float[Tensor, "probe batch state"]:
    """The axes, each as long as a vector of +1 and -1."""
    states = trace.states
    size = states.shape[-1]
    units = torch.eye(size, dtype=states.dtype, device=states.device) * size**0.5
    return units[:, None].expand(-1, trace.batch, -1)


def _signs(trace: Trace, probes: int, seed: int) -> Float[Tensor, "probe batch state"]:
    generator = torch.Generator().manual_seed(seed)
    shape = (probes, trace.batch, trace.states.shape[-1])
    drawn = torch.randint(2, shape, generator=generator, dtype=torch.int8)
    return (2 * drawn - 1).to(trace.states)


def _products(trace: Trace, v: Tensor) -> tuple[Tensor, Tensor]:
    """ln(||J^T v|| / ||v||) for J = J_{L:l}, and the cosine between J^T v and v."""
    linear, arriving, length = trace.linearisation(), v, vector_norms(v)
    arriving = arriving / length[..., None].to(v)
    direction, scale = arriving, torch.zeros_like(length)
    norms, cosines = [scale], [(arriving * direction).sum(-1).double()]
    for step in range(trace.time - 1, -1, -1):
        arriving = linear.at(slice(step, step + 1)).vjp(arriving[None].contiguous())[0][0]
        size = vector_norms(arriving)
        safe = torch.where(size > 0, size, torch.ones_like(size))
        arriving, scale = arriving / safe[..., None].to(v), scale + size.log()
        norms.append(scale)
        cosines.append((arriving * direction).sum(-1).double())
    return torch.stack(norms[::-1]), torch.stack(cosines[::-1])


def _each(trace: Trace, v: Tensor) -> tuple[Tensor, Tensor]:
    """The same of every layer's own Jacobian."""
    taken = trace.linearisation().vjp(v.expand(trace.time, -1, -1).contiguous())[0]
    size, length = vector_norms(taken), vector_norms(v)
    safe = torch.where(size > 0, size, torch.ones_like(size)) * length
    return (size / length).log(), (taken.double() * v.double()).sum(-1) / safe


def _gain(
    log_norms: Float[Tensor, "probe layers batch"],
    cosines: Float[Tensor, "probe layers batch"],
    *,
    exact: bool,
) -> DepthGain:
    """From ln(||J^T v|| / ||v||) and the cosines, relative to the largest of each layer."""
    count = len(log_norms)
    largest = log_norms.amax(0)
    safe = torch.where(largest.isfinite(), largest, torch.zeros_like(largest))
    lengths = (log_norms - safe).exp()
    squares, parts = lengths.square(), cosines * lengths  # ||J^T v||^2 / d and v^T J v / d
    square, part = squares.mean(0), parts.mean(0)
    share = _share(square, part, None if exact else parts.var(0) / count)
    zero = torch.zeros_like(square)
    errors = [zero, zero, zero]
    if not exact:
        others = _left_out(squares), _left_out(parts)
        spread = (_left_out(parts, power=2) - others[1].square()).clamp_min(0)
        shares = _share(*others, spread / max(1, count - 2))
        jackknife = ((count - 1) / count * (shares - shares.mean(0)).square().sum(0)).sqrt()
        relative = squares.std(0) / count**0.5 / torch.where(square > 0, square, 1.0)
        errors = [0.5 * relative, parts.std(0) / count**0.5 * safe.exp(), jackknife]
    return DepthGain(
        log_gain=safe + 0.5 * square.log(),
        log_gain_error=errors[0],
        scale=part * safe.exp(),
        scale_error=errors[1],
        identity_share=share,
        identity_share_error=errors[2],
        log_rest=safe + 0.5 * (square * (1 - share)).log(),
    )


def _share(square: Tensor, part: Tensor, variance: Tensor | None) -> Tensor:
    """c^2 / (||J||_F^2 / d); that the square of an estimate is too large is taken out."""
    whole = torch.where(square > 0, square, torch.ones_like(square))
    numerator = part.square() if variance is None else part.square() - variance
    return (numerator / whole).clamp(0, 1)


def _left_out(values: Tensor, power: int = 1) -> Tensor:
    """Means of powers of all but one, for each."""
    powers = values.pow(power)
    return (powers.sum(0) - powers) / (len(values) - 1)


# --- streams --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class CompositeGain:
    """What products of mixing matrices do, A_L ... A_{l+1} for l = 0 .. L; the last is I.

    Shapes: ``(layers + 1, ...)`` as the matrices are given.

    Attributes:
        log_row_gain: ln of the largest sum of absolute values in a row, nats: by how much a stream
            can grow on its way forward.
        log_column_gain: the same of columns: by how much a gradient can grow on its way back.
        log_spectral_norm: ln of the largest singular value, nats.
        identity_share: (tr P)^2 / (n ||P||_F^2), from 0 to 1.
    """

    log_row_gain: Float[Tensor, "*layers"]
    log_column_gain: Float[Tensor, "*layers"]
    log_spectral_norm: Float[Tensor, "*layers"]
    identity_share: Float[Tensor, "*layers"]


def composite_gain(mixing: Float[Tensor, "layers *any stream stream"]) -> CompositeGain:
    """How far the residual mixing of hyper-connections amplifies, over all the layers that follow.

    The product of doubly stochastic matrices, as manifold-constrained hyper-connections have them,
    has rows and columns that sum to 1 at any depth; that of free ones can explode or die.

        mixing = gradscope.stream_mixing(trace)   # (layers, batch, token, stream, stream)
        gradscope.composite_gain(mixing).log_column_gain[0].exp().max()  # Amax gain magnitude

    Args:
        mixing: A_1 ... A_L, axes (..., to, from): x_l = A_l x_{l-1} plus what a block writes.

    Raises:
        GradscopeError: unless they are square matrices, at least one.

    Reference: Zhu et al. (2024), Hyper-connections; Xie et al. (2025), mHC: manifold-constrained
    hyper-connections, whose gain magnitude is the larger of the two.
    """
    if mixing.dim() < 3 or mixing.shape[-1] != mixing.shape[-2] or not len(mixing):
        raise GradscopeError(
            "composite_gain takes mixing matrices (layers, ..., stream, stream), got "
            f"{tuple(mixing.shape)}"
        )
    matrices = mixing.detach().double()
    size = matrices.shape[-1]
    identity = torch.eye(size, dtype=matrices.dtype, device=matrices.device)
    product = Scaled.of(identity.expand(matrices.shape[1:]))
    products = [product]
    for matrix in matrices.flip(0):
        product = product @ Scaled.of(matrix)
        products.append(product)
    mantissa = torch.stack([product.mantissa for product in products[::-1]])
    scale = torch.stack([product.log_scale for product in products[::-1]])
    absolute, norm = mantissa.abs(), mantissa.square().sum((-2, -1))
    trace = mantissa.diagonal(dim1=-2, dim2=-1).sum(-1)
    return CompositeGain(
        log_row_gain=scale + absolute.sum(-1).amax(-1).log(),
        log_column_gain=scale + absolute.sum(-2).amax(-1).log(),
        log_spectral_norm=Scaled(mantissa, scale).log_spectral_norm(),
        identity_share=trace.square() / (size * torch.where(norm > 0, norm, 1.0)),
    )
