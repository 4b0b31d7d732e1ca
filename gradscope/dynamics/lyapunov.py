"""Lyapunov exponents of a driven cell along its trajectory.

Tangents run forward in time, Q <- J_t Q, and adjoints in reverse time, Q <- J_t^T Q. Both are
re-orthonormalised by QR every few steps, and the logarithms of the diagonal of R add up to the
exponents (Benettin et al. 1980; Shimada and Nagashima 1979).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.scaled import vector_norms
from gradscope.dynamics.trace import Trace
from gradscope.dynamics.trajectory import (
    Trajectory,
    check_run,
    device_of,
    extent,
    random_frame,
    rank_bound,
    step_by_step,
)

#: ln of the ratio between the longest and the shortest column of Q that is allowed before it is
#: re-orthonormalised; it leaves six digits of sixteen
_SAFE_SPREAD = 22.0
#: steps that are linearised at a time for a single tangent
_TANGENT = 64


@dataclass(frozen=True, eq=False)
class LyapunovSpectrum:
    """Exponents in nats per step, with the evidence that they have converged.

    Attributes:
        exponents: mean over sequences, ``(k,)``, the largest first once they have converged; -inf
            where the product of Jacobians is singular.
        standard_errors: standard errors over blocks of the trajectory and sequences together,
            ``(k,)``.
        finite_time: exponents of each sequence over the trajectory after the burn-in,
            ``(batch, k)``.
        times: steps after the burn-in at which ``series`` was taken.
        series: running estimate (mean over sequences) at ``times``, ``(len(times), k)``; it is flat
            once it has converged.
        interval: the longest number of steps between two re-orthonormalisations.
        burn_in: steps left out at the start, in which Q turns into its directions.
    """

    exponents: Float[Tensor, " k"]
    standard_errors: Float[Tensor, " k"]
    finite_time: Float[Tensor, "batch k"]
    times: list[int]
    series: Float[Tensor, "times k"]
    interval: int
    burn_in: int

    @property
    def kaplan_yorke_dimension(self) -> float:
        """The dimension of the attractor by the conjecture of Kaplan and Yorke.

        j + (lambda_1 + ... + lambda_j) / |lambda_{j+1}|, with j the largest number of exponents
        whose sum is at least 0; NaN if too few exponents are known.

        Reference: Kaplan and Yorke (1979), Chaotic behavior of multidimensional difference
        equations.
        """
        values = self.exponents.tolist()
        total = 0.0
        for j, value in enumerate(values):
            if total + value < 0:
                return float(j) if math.isinf(value) else j + total / -value
            total += value
        return math.nan

    @property
    def entropy_rate(self) -> float:
        """The sum of the positive exponents, nats per step.

        It is an upper bound of the Kolmogorov-Sinai entropy (Ruelle 1978).
        """
        return float(self.exponents.clamp_min(0).sum())


def lyapunov_spectrum(
    trace: Trajectory,
    *,
    k: int | None = None,
    burn_in: int | None = None,
    interval: int | None = None,
    blocks: int = 10,
    seed: int = 0,
) -> LyapunovSpectrum:
    """The first k Lyapunov exponents, by QR in forward time.

        spectrum = gradscope.lyapunov_spectrum(trace, k=10)
        spectrum.exponents, spectrum.standard_errors  # nats per step
        spectrum.series  # the running estimate, flat where it has converged

    The burn-in lets Q settle. The cell's own transient is another matter: start the trace after it,
    with ``unroll`` from a state that the cell has reached.

    Args:
        trace: a trace, or step Jacobians ``(time, batch, state, state)``, the first being J_1. The
            Jacobians of a trace are made a few at a time.
        k: number of exponents; None means all.
        burn_in: steps for Q to settle before anything counts; None means a tenth of the trajectory.
        interval: steps between re-orthonormalisations; None chooses them so that float64 can tell
            the columns of Q apart.
        blocks: number of parts of the trajectory for the standard error.
        seed: seed of the random start of Q.

    Raises:
        GradscopeError: for k, burn_in, interval or blocks that do not fit the trajectory.
    """
    return _spectrum(trace, k, burn_in, interval, blocks, seed, forward=True)


def adjoint_lyapunov_spectrum(
    trace: Trajectory,
    *,
    k: int | None = None,
    burn_in: int | None = None,
    interval: int | None = None,
    blocks: int = 10,
    seed: int = 0,
) -> LyapunovSpectrum:
    """The first k exponents of the adjoint, Q <- J_t^T Q in reverse time, as gradients travel.

        gradscope.adjoint_lyapunov_spectrum(trace, k=1).exponents  # nats per step

    Over a long trajectory they equal those of ``lyapunov_spectrum``; over a short one the ends make
    a difference. Arguments and errors are those of ``lyapunov_spectrum``.
    """
    return _spectrum(trace, k, burn_in, interval, blocks, seed, forward=False)


def largest_lyapunov_exponent(
    trace: Trace, *, burn_in: int | None = None, blocks: int = 10, seed: int = 0
) -> LyapunovSpectrum:
    """lambda_1 alone, from one tangent v_t = J_t v_{t-1} of each sequence.

    The tangent is normalised after every step. No Jacobian is formed, so a step costs about as much
    as a step of the cell, and states of thousands of units are feasible.

        gradscope.largest_lyapunov_exponent(trace).exponents[0]  # nats per step

    Args:
        trace: a trace of any cell.
        burn_in: steps for the tangent to settle before anything counts; None means a tenth of the
            trajectory.
        blocks: number of parts of the trajectory for the standard error.
        seed: seed of the random start.

    Returns:
        As ``lyapunov_spectrum`` with k = 1; -inf where a tangent has become exactly zero.

    Raises:
        GradscopeError: for burn_in or blocks that do not fit the trajectory, or a step that cannot
            be linearised.

    Reference: Benettin, Galgani, Giorgilli and Strelcyn (1980), Lyapunov characteristic exponents
    for smooth dynamical systems.
    """
    time, batch, size = extent(trace)
    burn_in = time // 10 if burn_in is None else burn_in
    check_run(time, size, 1, burn_in, blocks=blocks)
    states = trace.states
    v = random_frame(batch, size, 1, seed, states.device)[..., 0].to(states.dtype)
    growth = []
    for start in range(0, time, _TANGENT):
        stop = min(start + _TANGENT, time)
        linear = trace.linearised(start, stop)
        for step in range(stop - start):
            v = linear.at(slice(step, step + 1)).jvp(v[None])[0].detach()
            norms = vector_norms(v)
            v = torch.where(norms[:, None] > 0, v / norms[:, None], 0).to(states.dtype)
            growth.append(norms.log())
    sums = torch.stack(growth[burn_in:])[..., None].cumsum(0)
    steps = time - burn_in
    ends = {max(1, round(steps * block / blocks)) - 1 for block in range(1, blocks + 1)}
    return _estimated(sums, list(range(1, steps + 1)), sorted(ends), 1, burn_in)


def _spectrum(
    trace: Trajectory,
    k: int | None,
    burn_in: int | None,
    interval: int | None,
    blocks: int,
    seed: int,
    *,
    forward: bool,
) -> LyapunovSpectrum:
    """Run Q along the trajectory and collect the logarithms of the diagonals of R."""
    time, batch, size = extent(trace)
    k, burn_in = size if k is None else k, time // 10 if burn_in is None else burn_in
    check_run(time, size, k, burn_in, interval=interval, blocks=blocks)
    q = random_frame(batch, size, k, seed, device_of(trace))
    growth: list[Tensor] = []
    stamps: list[int] = []
    rank, foreseen, longest = size, 1, 0
    product, taken = q, []
    for count, jacobian in enumerate(step_by_step(trace, forward=forward), start=1):
        rank = min(rank, rank_bound(jacobian))
        taken.append(jacobian.double())
        product = taken[-1] @ product
        if len(taken) < (interval or foreseen) and count not in (burn_in, time):
            continue
        frame, diagonal = _orthonormalised(product)
        if interval is None and len(taken) > 1 and _spread(diagonal) > _SAFE_SPREAD:
            frame, diagonal = _one_by_one(taken, q)  # the columns ran apart faster than foreseen
        q = frame
        if count > burn_in:
            growth.append(diagonal)
            stamps.append(count - burn_in)
        if interval is None:
            foreseen, longest = _safe_interval(diagonal, len(taken)), max(longest, len(taken))
        product, taken = q, []
    sums = torch.stack(growth).cumsum(0)
    sums[..., rank:] = -math.inf
    steps = time - burn_in
    ends = {
        min(range(len(stamps)), key=lambda i, end=steps * block / blocks: abs(stamps[i] - end))
        for block in range(1, blocks + 1)
    }
    return _estimated(sums, stamps, sorted(ends), interval or longest, burn_in)


def _orthonormalised(columns: Tensor) -> tuple[Tensor, Tensor]:
    """Q, and ln |diagonal of R|, of a QR decomposition."""
    q, r = torch.linalg.qr(columns)
    return q, r.diagonal(dim1=-2, dim2=-1).abs().log()


def _one_by_one(jacobians: list[Tensor], q: Tensor) -> tuple[Tensor, Tensor]:
    """Q after several steps, re-orthonormalised after each, and its growth over all of them."""
    total = torch.zeros_like(q[..., 0, :])
    for jacobian in jacobians:
        q, diagonal = _orthonormalised(jacobian @ q)
        total = total + diagonal
    return q, total


def _estimated(
    sums: Float[Tensor, "times batch k"],
    stamps: list[int],
    ends: list[int],
    interval: int,
    burn_in: int,
) -> LyapunovSpectrum:
    """Exponents from the growth summed up to each of ``stamps``; blocks end at the indices ends."""
    elapsed = torch.tensor(stamps, dtype=torch.float64, device=sums.device)
    finite_time = sums[-1] / stamps[-1]
    return LyapunovSpectrum(
        finite_time.mean(0),
        _block_errors(sums, stamps, ends),
        finite_time,
        stamps,
        sums.mean(1) / elapsed[:, None],
        interval,
        burn_in,
    )


def _block_errors(sums: Tensor, stamps: list[int], ends: list[int]) -> Float[Tensor, " k"]:
    """Standard error over the rates of all blocks of all sequences; NaN for a single rate."""
    rates, before, since = [], torch.zeros_like(sums[0]), 0
    for end in ends:
        rates.append((sums[end] - before) / (stamps[end] - since))
        before, since = sums[end], stamps[end]
    values = torch.cat(rates)
    values = torch.where(values.isfinite(), values, torch.nan)
    if len(values) < 2:
        return torch.full_like(values[0], torch.nan)
    return values.std(0) / math.sqrt(len(values))


def _safe_interval(diagonal: Tensor, taken: int) -> int:
    """Steps until the columns are ``_SAFE_SPREAD`` / 2 apart, at the pace of the last ``taken``."""
    rate = _spread(diagonal) / taken
    return max(1, min(100, int(_SAFE_SPREAD / 2 / max(rate, 1e-6))))


def _spread(diagonal: Tensor) -> float:
    """ln of the longest over the shortest column, in the worst sequence; a zero column is e^-22."""
    finite = torch.where(diagonal.isfinite(), diagonal, torch.full_like(diagonal, -_SAFE_SPREAD))
    return float((finite.amax(-1) - finite.amin(-1)).max())
