"""Lyapunov exponents of a driven cell along its trajectory.

A tangent runs forward, Q <- J_t Q, an adjoint in reverse time, Q <- J_t^T Q; both are
re-orthonormalised by QR every few steps, and the logarithms of R's diagonal add up to the exponents
(Benettin et al. 1980; Shimada and Nagashima 1979).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.scaled import norms
from gradscope.dynamics.trace import Trace
from gradscope.errors import GradscopeError

#: ln of the spread between the first and last column of Q at which it is re-orthonormalised: six
#: digits are left of sixteen
_SAFE_SPREAD = 22.0
#: steps linearised at a time for a single tangent
_TANGENT = 64
#: bytes of step Jacobians made at a time: what fits a cache costs no fresh memory
_CHUNK = 2 * 2**20


@dataclass(frozen=True)
class LyapunovSpectrum:
    """Exponents in nats per step, descending, with the evidence that they have converged.

    Attributes:
        exponents: mean over blocks and sequences, ``(k,)``; -inf where the product of Jacobians is
            singular.
        standard_errors: over blocks of the trajectory and sequences together, ``(k,)``.
        finite_time: of each sequence over the whole trajectory after the burn-in, ``(batch, k)``.
        times: steps after the burn-in at which ``series`` was taken.
        series: running estimate (mean over sequences) at ``times``, ``(len(times), k)``: flat where
            it has converged.
        interval: steps between two re-orthonormalisations, the last that was used.
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
        """j + (lambda_1 + ... + lambda_j) / |lambda_{j+1}|, j the largest with a sum of at least 0;
        NaN if k are too few.

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
        """The sum of the positive exponents, nats per step: an upper bound of the Kolmogorov-Sinai
        entropy (Ruelle 1978).
        """
        return float(self.exponents.clamp_min(0).sum())


def lyapunov_spectrum(
    trace: Trace | Float[Tensor, "time batch state state"],
    *,
    k: int | None = None,
    burn_in: int | None = None,
    interval: int | None = None,
    blocks: int = 10,
    seed: int = 0,
) -> LyapunovSpectrum:
    """The first k Lyapunov exponents, by QR in forward time.

    The burn-in is of Q; drive the cell past its own transient before the trace begins (``unroll``
    from a state it has reached).

    Args:
        trace: a trace, or step Jacobians, the first being J_1. A trace's Jacobians are made a
            stretch at a time.
        k: how many exponents; None is all.
        burn_in: steps for Q to settle before anything counts; None is a tenth of the trajectory.
        interval: steps between re-orthonormalisations; None keeps the spread of Q's columns within
            what float64 can tell apart.
        blocks: parts of the trajectory for the standard error.
        seed: of the random start of Q.

    Raises:
        GradscopeError: for k, burn_in, interval or blocks that do not fit the trajectory.
    """
    return _spectrum(trace, k, burn_in, interval, blocks, seed, forward=True)


def largest_lyapunov_exponent(
    trace: Trace, *, burn_in: int | None = None, blocks: int = 10, seed: int = 0
) -> LyapunovSpectrum:
    """lambda_1 alone, from one tangent v_t = J_t v_{t-1} of each sequence, made a unit vector again
    after every step.

    No Jacobian is formed: a step costs what a step of the cell does, so that states of thousands of
    units will do.

    Args:
        trace: of any cell.
        burn_in: steps for the tangent to turn before anything counts; None is a tenth of the
            trajectory.
        blocks: parts of the trajectory for the standard error.
        seed: of the random start.

    Returns:
        As ``lyapunov_spectrum`` with k = 1; -inf where a tangent has come to exactly nothing.

    Raises:
        GradscopeError: for burn_in or blocks that do not fit the trajectory, or a step that cannot
            be linearised.

    Reference: Benettin, Galgani, Giorgilli and Strelcyn (1980), Lyapunov characteristic exponents
    for smooth dynamical systems.
    """
    states, time = trace.states.detach(), trace.time
    burn_in = time // 10 if burn_in is None else burn_in
    _check(time, states.shape[2], 1, burn_in, None, blocks)
    v = _start(states.shape[1], states.shape[2], 1, seed, states.device)[..., 0].to(states.dtype)
    logs = []
    for start in range(0, time, _TANGENT):
        stop = min(start + _TANGENT, time)
        linear = trace.cell.linearise(
            trace.inputs[start:stop], states[start:stop], states[start + 1 : stop + 1]
        )
        for step in range(stop - start):
            v = linear.at(slice(step, step + 1)).jvp(v[None])[0].detach()
            size = norms(v)
            v = torch.where(size[:, None] > 0, v / size[:, None], 0).to(states.dtype)
            logs.append(size.log())
    steps, stamps = time - burn_in, list(range(1, time - burn_in + 1))
    sums = torch.stack(logs[burn_in:])[..., None].cumsum(0)
    ends = sorted({max(1, round(steps * block / blocks)) - 1 for block in range(1, blocks + 1)})
    elapsed = torch.tensor(stamps, dtype=torch.float64, device=sums.device)
    finite_time = sums[-1] / steps
    errors = _block_errors(sums, stamps, ends)
    return LyapunovSpectrum(
        finite_time.mean(0),
        errors,
        finite_time,
        stamps,
        sums.mean(1) / elapsed[:, None],
        1,
        burn_in,
    )


def adjoint_lyapunov_spectrum(
    trace: Trace | Float[Tensor, "time batch state state"],
    *,
    k: int | None = None,
    burn_in: int | None = None,
    interval: int | None = None,
    blocks: int = 10,
    seed: int = 0,
) -> LyapunovSpectrum:
    """The first k exponents of the adjoint, Q <- J_t^T Q in reverse time: what backpropagation
    meets. Arguments as above.

    Over a long trajectory they are those of the tangent; over a short one they differ by the ends.
    """
    return _spectrum(trace, k, burn_in, interval, blocks, seed, forward=False)


def _spectrum(
    trace: Trace | Tensor,
    k: int | None,
    burn_in: int | None,
    interval: int | None,
    blocks: int,
    seed: int,
    *,
    forward: bool,
) -> LyapunovSpectrum:
    time, batch, size = _shape(trace)
    k, burn_in = size if k is None else k, time // 10 if burn_in is None else burn_in
    _check(time, size, k, burn_in, interval, blocks)
    q = _start(batch, size, k, seed, _device(trace))
    logs, stamps, rank = [], [], size
    spread, used = 1, 0
    pending, since = q, []
    for count, jacobian in enumerate(_steps(trace, forward=forward), start=1):
        rank = min(rank, _rank_bound(jacobian))
        since.append(jacobian.double())
        pending = since[-1] @ pending
        if len(since) < (interval or spread) and count not in (burn_in, time):
            continue
        turned, r = torch.linalg.qr(pending)
        diagonal = r.diagonal(dim1=-2, dim2=-1).abs().log()
        if (
            interval is None and len(since) > 1 and _spread(diagonal) > _SAFE_SPREAD
        ):  # more than was foreseen: step by step
            turned, diagonal = q, torch.zeros_like(diagonal)
            for step in since:
                turned, r = torch.linalg.qr(step @ turned)
                diagonal = diagonal + r.diagonal(dim1=-2, dim2=-1).abs().log()
        q = turned
        if count > burn_in:
            logs.append(diagonal)
            stamps.append(count - burn_in)
        if interval is None:
            spread, used = _safe_interval(diagonal, len(since)), max(used, len(since))
        pending, since = q, []
    steps = time - burn_in
    sums = torch.stack(logs).cumsum(0)
    sums[..., rank:] = -math.inf
    finite_time = sums[-1] / steps
    ends = [
        min(range(len(stamps)), key=lambda i, b=b: abs(stamps[i] - steps * b / blocks))
        for b in range(1, blocks + 1)
    ]
    errors = _block_errors(sums, stamps, sorted(set(ends)))
    elapsed = torch.tensor(stamps, dtype=torch.float64, device=sums.device)
    return LyapunovSpectrum(
        finite_time.mean(0),
        errors,
        finite_time,
        stamps,
        sums.mean(1) / elapsed[:, None],
        interval or used,
        burn_in,
    )


def _block_errors(sums: Tensor, stamps: list[int], ends: list[int]) -> Tensor:
    """Standard error over the blocks of all sequences, of their rates; NaN from one block of one
    sequence.
    """
    rates, before, since = [], torch.zeros_like(sums[0]), 0
    for end in ends:
        rates.append((sums[end] - before) / (stamps[end] - since))
        before, since = sums[end], stamps[end]
    values = torch.cat(rates)
    values = torch.where(values.isfinite(), values, torch.nan)
    return (
        values.std(0) / math.sqrt(len(values))
        if len(values) > 1
        else torch.full_like(values[0], torch.nan)
    )


def _safe_interval(diagonal: Tensor, taken: int) -> int:
    """Steps after which the columns' lengths will be ``_SAFE_SPREAD`` apart, going by the last
    ``taken`` steps.
    """
    rate = _spread(diagonal) / taken
    return max(1, min(100, int(_SAFE_SPREAD / 2 / max(rate, 1e-6))))


def _spread(diagonal: Tensor) -> float:
    """ln of the longest over the shortest column, of any sequence; a column of nothing counts as
    e^-22 long.
    """
    finite = torch.where(diagonal.isfinite(), diagonal, torch.full_like(diagonal, -_SAFE_SPREAD))
    return float((finite.amax(-1) - finite.amin(-1)).max())


def _rank_bound(jacobian: Tensor) -> int:
    """No more than its rows and columns that are not all zero: exact, as the dead units of a relu
    layer are.
    """
    if int(torch.count_nonzero(jacobian)) == jacobian.numel():
        return jacobian.shape[-1]
    nonzero = jacobian != 0
    return int(torch.minimum(nonzero.any(-1).sum(-1), nonzero.any(-2).sum(-1)).max())


@dataclass(frozen=True)
class CovariantVectors:
    """Covariant Lyapunov vectors: J_t maps the i-th at t - 1 onto the i-th at t, growing by the
    i-th exponent.

    Attributes:
        times: the t at which vectors are given.
        vectors: unit columns, ``(len(times), batch, state, k)``, the fastest growing first.
        exponents: their mean growth between those times, nats per step, ``(batch, k)``.
    """

    times: list[int]
    vectors: Float[Tensor, "times batch state k"]
    exponents: Float[Tensor, "batch k"]


def covariant_lyapunov_vectors(
    trace: Trace | Float[Tensor, "time batch state state"],
    *,
    k: int | None = None,
    burn_in: int | None = None,
    seed: int = 0,
) -> CovariantVectors:
    """The first k covariant Lyapunov vectors on the middle of a trajectory.

    Forward, Q_t R_t = J_t Q_{t-1}; backward, C_{t-1} = R_t^{-1} C_t with unit columns; the vectors
    are Q_t C_t. The first ``burn_in`` steps let Q settle, the last as many C.

    Args:
        trace: a trace, or step Jacobians.
        k: how many; None is all.
        burn_in: None is a quarter of the trajectory.
        seed: of the random starts.

    Raises:
        GradscopeError: for a singular Jacobian, or a burn-in that leaves nothing.

    Reference: Ginelli et al. (2007), Characterizing dynamics with covariant Lyapunov vectors.
    """
    time, batch, size = _shape(trace)
    k, burn_in = size if k is None else k, time // 4 if burn_in is None else burn_in
    _check(time, size, k, 2 * burn_in, None, 1)
    q = _start(batch, size, k, seed, _device(trace))
    frames, triangles = [], []
    for count, jacobian in enumerate(_steps(trace, forward=True), start=1):
        q, r = torch.linalg.qr(jacobian.double() @ q)
        if count > burn_in:
            if bool((r.diagonal(dim1=-2, dim2=-1) == 0).any()) or _rank_bound(jacobian) < k:
                raise GradscopeError(
                    f"J_t at t = {count} is singular: vectors need invertible ones (or a smaller k)"
                )
            frames.append(q)
            triangles.append(r)
    generator = torch.Generator().manual_seed(seed + 1)
    c = (
        torch.randn(k, k, dtype=torch.float64, generator=generator)
        .triu()
        .to(q.device)
        .expand(batch, k, k)
    )
    vectors, logs = [], []
    for index in range(len(frames) - 1, -1, -1):
        c = c / torch.linalg.vector_norm(c, dim=-2, keepdim=True)
        if index < len(frames) - burn_in:
            vectors.append(frames[index] @ c)
        c = torch.linalg.solve_triangular(triangles[index], c, upper=True)
        if index < len(frames) - burn_in:
            logs.append(-torch.linalg.vector_norm(c, dim=-2).log())
    times = list(range(burn_in + 1, time - burn_in + 1))
    return CovariantVectors(times, torch.stack(vectors[::-1]), torch.stack(logs).mean(0))


def _steps(trace: Trace | Tensor, *, forward: bool) -> Iterator[Tensor]:
    """J_1, J_2, ... or J_T^T, J_{T-1}^T, ...; a trace's are made a stretch at a time."""
    if isinstance(trace, Tensor):
        yield from (trace if forward else trace.flip(0).mT)
        return
    states = trace.states.detach()
    one = states.shape[1] * states.shape[2] ** 2 * states.element_size()
    length = max(1, _CHUNK // one)
    starts = range(0, trace.time, length)
    for start in starts if forward else reversed(starts):
        stop = min(start + length, trace.time)
        jacobians = trace.cell.jacobian(
            trace.inputs[start:stop], states[start:stop], states[start + 1 : stop + 1]
        )
        yield from (jacobians if forward else jacobians.flip(0).mT)


def _shape(trace: Trace | Tensor) -> tuple[int, int, int]:
    if isinstance(trace, Tensor):
        return trace.shape[0], trace.shape[1], trace.shape[-1]
    return trace.time, trace.states.shape[1], trace.states.shape[2]


def _device(trace: Trace | Tensor) -> torch.device:
    return trace.device if isinstance(trace, Tensor) else trace.states.device


def _start(batch: int, size: int, k: int, seed: int, device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(batch, size, k, dtype=torch.float64, generator=generator))[
        0
    ].to(device)


def _check(time: int, size: int, k: int, burn_in: int, interval: int | None, blocks: int) -> None:
    if not 1 <= k <= size:
        raise GradscopeError(f"k should be 1..{size}, the length of the state, got {k}")
    if not 0 <= burn_in < time:
        raise GradscopeError(
            f"a burn-in of {burn_in} steps leaves nothing of a trajectory of {time}"
        )
    if interval is not None and interval < 1:
        raise GradscopeError(f"interval should be at least 1, got {interval}")
    if blocks < 1:
        raise GradscopeError(f"blocks should be at least 1, got {blocks}")
