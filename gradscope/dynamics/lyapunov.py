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

from gradscope.dynamics.frame import Frame
from gradscope.dynamics.linearisation import Linearisation
from gradscope.dynamics.resolution import resolved
from gradscope.dynamics.scaled import vector_norms
from gradscope.dynamics.trace import Trace
from gradscope.dynamics.trajectory import (
    Trajectory,
    as_trajectory,
    check_run,
    device_of,
    extent,
    random_frame,
    step_by_step,
)
from gradscope.errors import GradscopeError

#: steps that are linearised at a time for a single tangent
_TANGENT = 64
#: by how much a tangent is made larger, or smaller, that is lost in its dtype
_LARGE = 1e30


@dataclass(frozen=True, eq=False)
class LyapunovSpectrum:
    """Exponents in nats per step, with the evidence that they have converged.

    Attributes:
        exponents: mean over sequences, ``(k,)``, the largest first once they have converged; -inf
            where the product of Jacobians is singular because units are dead or pass nothing on,
            and NaN where all that is known is that it lies below rounding, as where the weights
            are of low rank.
        standard_errors: standard errors over blocks of the trajectory and sequences together,
            ``(k,)``.
        finite_time: exponents of each sequence over the trajectory after the burn-in,
            ``(batch, k)``.
        times: steps after the burn-in at which ``series`` was taken.
        series: running estimate (mean over sequences) at ``times``, ``(len(times), k)``; it is flat
            once it has converged.
        interval: the longest number of steps between two re-orthonormalisations.
        burn_in: steps left out at the start, in which Q turns into its directions.
        size: length of the state, which is the number of exponents that there are.
    """

    exponents: Float[Tensor, " k"]
    standard_errors: Float[Tensor, " k"]
    finite_time: Float[Tensor, "batch k"]
    times: list[int]
    series: Float[Tensor, "times k"]
    interval: int
    burn_in: int
    size: int

    @property
    def kaplan_yorke_dimension(self) -> float:
        """The dimension of the attractor by the conjecture of Kaplan and Yorke.

        j + (lambda_1 + ... + lambda_j) / |lambda_{j+1}|, with j the largest number of exponents
        whose sum is at least 0; the length of the state where that of all of them is, as in a map
        that keeps volumes. NaN if too few exponents are known.

        Reference: Kaplan and Yorke (1979), Chaotic behavior of multidimensional difference
        equations.
        """
        values = self.exponents.tolist()
        # what is left of a sum of zero by rounding counts as zero
        rounding = 1e-12 * sum(abs(value) for value in values if math.isfinite(value))
        total = 0.0
        for j, value in enumerate(values):
            if math.isnan(value):
                return math.nan
            if total + value < -rounding:
                return float(j) if math.isinf(value) else j + total / -value
            total += value
        return float(self.size) if len(values) == self.size else math.nan

    @property
    def entropy_rate(self) -> float:
        """The sum of the positive exponents, nats per step.

        It is an upper bound of the Kolmogorov-Sinai entropy (Ruelle 1978).
        """
        return float(self.exponents.clamp_min(0).nansum())


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
        trace: a trace, or step Jacobians ``(time, batch, state, state)``, the first being J_1, or
            ``(time, state, state)`` of one sequence. The Jacobians of a trace are made a few at a
            time.
        k: number of exponents; None means all.
        burn_in: steps for Q to settle before anything counts; None means a tenth of the trajectory.
        interval: the most steps between re-orthonormalisations; None chooses them so that float64
            can tell the columns of Q apart. Where it cannot with the number given, the steps are
            taken again one by one.
        blocks: number of parts of the trajectory for the standard error.
        seed: seed of the random start of Q.

    Raises:
        GradscopeError: for k, burn_in, interval or blocks that do not fit the trajectory, or
            Jacobians that are not finite.
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
    if not isinstance(trace, Trace):
        raise GradscopeError(
            "a trace is needed, as no Jacobian is formed; lyapunov_spectrum(..., k=1) takes step "
            "Jacobians"
        )
    as_trajectory(trace)
    trace = resolved(trace)
    time, batch, size = extent(trace)
    burn_in = time // 10 if burn_in is None else burn_in
    check_run(time, size, 1, burn_in, blocks=blocks)
    v = random_frame(batch, size, 1, seed, trace.states.device)[..., 0].to(trace.states.dtype)
    growth = []
    for start in range(0, time, _TANGENT):
        stop = min(start + _TANGENT, time)
        linear = trace.linearised(start, stop)
        linear.prepare()
        for step in range(stop - start):
            v, grown = _carried(linear.at(slice(step, step + 1)), v)
            growth.append(grown)
    sums = torch.stack(growth[burn_in:])[..., None].cumsum(0)
    steps = time - burn_in
    ends = {max(1, round(steps * block / blocks)) - 1 for block in range(1, blocks + 1)}
    return _estimated(sums, list(range(1, steps + 1)), sorted(ends), 1, burn_in, size)


def _carried(step: Linearisation, v: Tensor) -> tuple[Tensor, Tensor]:
    """J_t v for unit tangents v, normalised, and ln of its norm; -inf where it is exactly zero.

    A tangent that leaves the range of its dtype is carried again, made larger or smaller first.
    """
    image = step.jvp(v[None])[0].detach()
    norms = vector_norms(image)
    logs = norms.log()
    for factor in (_LARGE, 1 / _LARGE):
        lost = ~((norms > 0) & norms.isfinite())
        if not bool(lost.any()):
            break
        again = step.jvp((v * factor)[None])[0].detach()
        sizes = vector_norms(again)
        image = torch.where(lost[:, None], again, image)
        logs = torch.where(lost, sizes.log() - math.log(factor), logs)
        norms = torch.where(lost, sizes, norms)
    unit = torch.where(norms[:, None] > 0, image.double() / norms[:, None], 0)
    return unit.to(v.dtype), logs


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
    trajectory = as_trajectory(trace)
    time, batch, size = extent(trajectory)
    k, burn_in = size if k is None else k, time // 10 if burn_in is None else burn_in
    check_run(time, size, k, burn_in, interval=interval, blocks=blocks)
    frame = Frame(random_frame(batch, size, k, seed, device_of(trajectory)), interval)
    steps = time - burn_in
    ends = sorted({max(1, round(steps * block / blocks)) for block in range(1, blocks + 1)})
    stops = {burn_in, *(burn_in + end for end in ends)}
    growth: list[Tensor] = []
    stamps: list[int] = []
    for count, jacobian in enumerate(step_by_step(trajectory, forward=forward), start=1):
        if not frame.follow(jacobian) and count not in stops:
            continue
        grown = frame.growth()
        if count > burn_in:
            growth.append(grown)
            stamps.append(count - burn_in)
    sums = torch.stack(growth).cumsum(0)
    index = torch.arange(k, device=sums.device)
    sums[:, ~frame.known.cummin(-1).values] = math.nan
    sums[:, index >= frame.support.rank(trajectory, forward=forward)[:, None]] = -math.inf
    places = [stamps.index(end) for end in ends]
    return _estimated(sums, stamps, places, frame.longest, burn_in, size)


def _estimated(
    sums: Float[Tensor, "times batch k"],
    stamps: list[int],
    ends: list[int],
    interval: int,
    burn_in: int,
    size: int,
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
        size,
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
