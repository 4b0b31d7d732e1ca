"""Top singular values of many products at once, by Golub-Kahan-Lanczos bidiagonalisation.

Reference: Golub and Kahan (1965), Calculating the singular values and pseudo-inverse of a matrix;
Golub and Van Loan, Matrix Computations, 10.4.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

#: relative error of a squared singular value at which it counts as converged
_TOLERANCE = {torch.float32: 1e-7, torch.float64: 1e-13}
#: steps at which convergence is checked; after the last one Lanczos gives up
_CHECKS = (4, 8, 14, 22, 34, 48)
#: gaps below the top Ritz value, as parts of it, that are tried: where no other Ritz value lies in
#: the gap, r^2 / gap bounds the error
_GAPS = (0.1, 0.01, 0.001)
#: size up to which an eigensolver is faster
_SMALL = 24


def log_top_singular_value(
    x: Float[Tensor, "ts batch rows inner"], y: Float[Tensor, "ks batch inner columns"]
) -> tuple[Tensor, Tensor]:
    """ln sigma_max(X_t Y_k) for every t and k, and where it has converged, ``(ts, ks, batch)``.

    The start is random, so that the top direction is missed with probability zero. With residual r,
    the top Ritz value theta of (X Y)^T (X Y) is off by at most r, and by at most r^2 / gap where
    the next one lies a gap below. It has converged when that bound is within 1e-7 of theta in
    float32, 1e-13 in float64; after 48 steps the rest is given up as not converged.
    """
    rows, columns = x.shape[-2], y.shape[-1]
    if min(rows, columns) <= _SMALL:
        unknown = torch.zeros(len(x), len(y), x.shape[1], dtype=torch.float64, device=x.device)
        return unknown, torch.zeros_like(unknown, dtype=torch.bool)
    theta, sure = _bidiagonalise(x.transpose(0, 1), y.transpose(0, 1))
    return 0.5 * theta.clamp_min(0).log().permute(1, 2, 0), sure.permute(1, 2, 0)


def _bidiagonalise(
    x: Float[Tensor, "batch ts rows inner"], y: Float[Tensor, "batch ks inner columns"]
) -> tuple[Tensor, Tensor]:
    """The top Ritz values of all pairs, and where they have converged, ``(batch, ts, ks)``.

    With M = X Y: alpha u' = M v - beta u and beta' v' = M^T u' - alpha v, for all pairs at once.
    """
    batch, ts, ks = len(x), x.shape[1], y.shape[1]
    start = torch.randn(
        y.shape[-1], generator=torch.Generator().manual_seed(0), dtype=torch.float64
    ).to(y)
    v, u = (start / start.norm()).expand(batch, ts, ks, -1), None
    alphas = torch.empty(_CHECKS[-1], batch, ts, ks, dtype=torch.float64, device=x.device)
    betas = torch.empty_like(alphas)
    theta, sure = torch.zeros_like(alphas[0]), torch.zeros_like(alphas[0], dtype=torch.bool)
    beta, largest = x.new_zeros(()), x.new_zeros(())
    for step in range(_CHECKS[-1]):
        image = torch.empty(batch, ts, ks, x.shape[-2], dtype=x.dtype, device=x.device)
        for b in range(batch):  # all t, then all k side by side, so that bmm serves every pair
            torch.bmm(
                torch.bmm(v[b].transpose(0, 1), y[b].mT).transpose(0, 1), x[b].mT, out=image[b]
            )
        if u is not None:
            image.addcmul_(beta, u, value=-1)
        u, alpha = _unit(image, largest)
        largest = torch.maximum(largest, alpha)
        image = torch.empty(batch, ks, ts, y.shape[-1], dtype=x.dtype, device=x.device)
        for b in range(batch):
            torch.bmm(torch.bmm(u[b], x[b]).transpose(0, 1), y[b], out=image[b])
        v, beta = _unit(image.transpose(1, 2).addcmul_(alpha, v, value=-1), largest)
        alphas[step], betas[step] = alpha.squeeze(-1), beta.squeeze(-1)
        if step + 1 in _CHECKS:
            ritz, error = _top_ritz(alphas[: step + 1], betas[: step + 1])
            # a converged value is kept: later, rounding makes copies of it appear, which look like
            # a cluster
            theta = torch.where(sure, theta, ritz)
            sure = sure | (error <= _TOLERANCE.get(x.dtype, 1e-13) * ritz)
            if bool(sure.all()):
                break
    return theta, sure


def _unit(vectors: Tensor, largest: Tensor) -> tuple[Tensor, Tensor]:
    """The vectors normalised in place, and their norms.

    A vector within rounding of something of norm ``largest`` counts as zero: there the Krylov space
    ends.
    """
    norms = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    norms = torch.where(
        norms > 4 * torch.finfo(vectors.dtype).eps * largest, norms, torch.zeros_like(norms)
    )
    return vectors.mul_(torch.where(norms > 0, 1 / norms, 0)), norms


def _top_ritz(
    alphas: Float[Tensor, "steps batch ts ks"], betas: Float[Tensor, "steps batch ts ks"]
) -> tuple[Tensor, Tensor]:
    """The largest eigenvalue theta of T = B^T B, and a bound of its error.

    B is bidiagonal, with the alphas on its diagonal and the betas beside it. All pivots d_i of
    T - z are negative exactly if z > theta. So theta is bracketed by bisection, then found by
    Newton's method from above on the product p of the pivots, with p'/p = sum_i d_i'/d_i. Just
    above the eigenvalue 1 / d_m = s^2 / (theta - z) and p'/p = 1 / (z - theta), so that
    s^2 = -1 / (d_m p'/p) gives the last component s of its eigenvector, and the residual
    alpha beta s.
    """
    diagonal, off = alphas**2, (alphas * betas) ** 2
    diagonal[1:] += betas[:-1] ** 2
    coupling, residual = off[:-1].clamp_min(1e-290), off[-1]
    roots = coupling.sqrt()
    reach = diagonal.clone()
    reach[:-1] += roots
    reach[1:] += roots
    low, high = diagonal.amax(0), reach.amax(0)
    for _ in range(14):
        middle = 0.5 * (low + high)
        above = _largest_pivots(diagonal, coupling, middle)[0] > 0
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    theta, squared, moved = high, torch.full_like(high, torch.inf), torch.full_like(high, torch.inf)
    for _ in range(6):
        pivot, slope = diagonal[0] - theta, -torch.ones_like(theta)
        logarithmic = slope / pivot
        for i in range(1, len(diagonal)):
            ratio = coupling[i - 1] / pivot
            slope.mul_(ratio).div_(pivot).sub_(1)
            pivot = (diagonal[i] - theta).sub_(ratio)
            logarithmic.addcdiv_(slope, pivot)
        residual_squared = residual / (pivot * logarithmic).abs()
        step = torch.minimum(torch.maximum(theta - 1 / logarithmic, low), theta)
        going = step.isfinite() & residual_squared.isfinite()
        moved = torch.where(going, theta - step, torch.zeros_like(theta))
        theta = torch.where(going, step, theta)
        squared = torch.where(going, residual_squared, squared)
    bound = squared.sqrt()
    for gap in _GAPS:
        alone = _largest_pivots(diagonal, coupling, (1 - gap) * theta)[1] == 1
        bound = torch.where(alone, torch.minimum(bound, squared / (gap * theta)), bound)
    nothing = diagonal.amax(0) == 0
    return torch.where(nothing, 0, theta), torch.where(nothing, 0, bound + moved)


def _largest_pivots(diagonal: Tensor, coupling: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """The largest pivot of T - shift, and the number of positive ones.

    That number is how many eigenvalues of T lie above the shift.
    """
    pivot = diagonal[0] - shift
    largest, count = pivot.clone(), (pivot > 0).to(torch.int16)
    for i in range(1, len(diagonal)):
        pivot = (diagonal[i] - shift).sub_(coupling[i - 1] / pivot)
        torch.maximum(largest, pivot, out=largest)
        count += pivot > 0
    return largest, count
