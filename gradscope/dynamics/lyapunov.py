"""Lyapunov exponents of a driven cell along its trajectory.

Tangents run forward in time, Q <- J_t Q, and adjoints in reverse time, Q <- J_t^T Q. Both are
re-orthonormalised by QR every few steps, and the logarithms of the diagonal of R add up to the
exponents (Benettin et al. 1980; Shimada and Nagashima 1979).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.components.quantities import memory
from gradscope.dynamics.carriers import Carrier, MatrixCarrier, ProductCarrier, carried
from gradscope.dynamics.exponents import LyapunovSpectrum, block_ends, estimated
from gradscope.dynamics.frame import Frame
from gradscope.dynamics.linearisation import Linearisation
from gradscope.dynamics.resolution import resolved
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

#: steps that are linearised at a time where no Jacobian is formed
_STEPS = 64
#: bytes of states that are linearised, or held between two decompositions, where none is formed
_HELD = 2**26
#: length of a state from which on few exponents of it are found without Jacobians, and how many
#: times longer it is than there are exponents
_LARGE, _FEW = 256, 8
#: bytes of one step's Jacobians that are too many
_MOST = 2**32


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

    Few exponents of a trace's long state are found without a Jacobian: by Jacobian-vector products,
    in forward mode, which take the memory of k states. ``lyapunov_exponents`` needs no trace.

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
        GradscopeError: for k, burn_in, interval or blocks that do not fit the trajectory,
            Jacobians that are not finite, or all exponents of a state that is too long.
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
    for step in _linearised(trace):
        v, grown = carried(lambda v, step=step: step.jvps(v[None, None])[0, 0].detach(), v)
        growth.append(grown)
    sums = torch.stack(growth[burn_in:])[..., None].cumsum(0)
    steps = time - burn_in
    ends = [end - 1 for end in block_ends(steps, blocks)]
    return estimated(sums, list(range(1, steps + 1)), ends, 1, burn_in, size)


def _linearised(trace: Trace, *, forward: bool = True) -> Iterator[Linearisation]:
    """The linearisation of each step, in forward or in reverse time."""
    states = trace.states
    of_step = states.shape[1] * states.shape[2] * states.element_size()
    length = max(1, min(_STEPS, _HELD // of_step))
    starts = range(0, trace.time, length)
    for start in starts if forward else reversed(starts):
        stop = min(start + length, trace.time)
        linear = trace.linearised(start, stop)
        linear.prepare()
        steps = range(stop - start)
        for step in steps if forward else reversed(steps):
            yield linear.at(slice(step, step + 1))


def _carriers(trajectory: Trajectory, *, products: bool, forward: bool) -> Iterator[Carrier]:
    """What carries Q along each step."""
    if not products or isinstance(trajectory, Tensor):
        yield from map(MatrixCarrier, step_by_step(trajectory, forward=forward))
        return
    time, dtype = trajectory.time, trajectory.states.dtype
    for count, step in enumerate(_linearised(trajectory, forward=forward)):
        apply = step.jvps if forward else step.vjps
        yield ProductCarrier(
            lambda v, apply=apply: apply(v[:, None])[:, 0].detach(),
            dtype,
            count + 1 if forward else time - count,
        )


def _by_products(trajectory: Trajectory, k: int) -> bool:
    """Whether Jacobians are left alone.

    Raises:
        GradscopeError: for too many exponents of a state that is too long for Jacobians.
    """
    _, batch, size = extent(trajectory)
    if isinstance(trajectory, Tensor):
        return False
    if size >= _LARGE and _FEW * k <= size:
        return True
    needed = 8 * batch * size**2
    if needed > _MOST:
        raise GradscopeError(
            f"{k:,} exponents of a state of {size:,} take {memory(needed)} a step; ask for few of "
            f"them, such as k = 10: up to {size // _FEW:,} need no Jacobian"
        )
    return False


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
    products = _by_products(trajectory, k)
    of_step = trajectory[0].nbytes if isinstance(trajectory, Tensor) else 8 * batch * size
    frame = Frame(
        random_frame(batch, size, k, seed, device_of(trajectory)),
        interval,
        max(1, _HELD // of_step),
    )
    steps = _carriers(trajectory, products=products, forward=forward)
    ends = block_ends(time - burn_in, blocks)
    sums, stamps = accumulated(steps, frame, burn_in, ends)
    if not products:
        index = torch.arange(k, device=sums.device)
        sums[:, index >= frame.support.rank(trajectory, forward=forward)[:, None]] = -math.inf
    places = [stamps.index(end) for end in ends]
    return estimated(sums, stamps, places, frame.longest, burn_in, size)


def accumulated(
    steps: Iterable[Carrier], frame: Frame, burn_in: int, ends: list[int]
) -> tuple[Float[Tensor, "times batch k"], list[int]]:
    """(ln of the growth summed up after the burn-in, the steps at which that was taken).

    NaN where a column was lost in rounding, -inf from where on fewer coordinates are reached.

    Args:
        steps: what carries the columns on.
        frame: that they carry.
        burn_in: steps that do not count.
        ends: steps after the burn-in at which the sum is needed.
    """
    stops = {burn_in, *(burn_in + end for end in ends)}
    index = torch.arange(frame.columns.shape[-1], device=frame.columns.device)
    growth: list[Tensor] = []
    stamps: list[int] = []
    for count, step in enumerate(steps, start=1):
        if not frame.follow(step) and count not in stops:
            continue
        grown = frame.growth()
        if count > burn_in:
            dead = index >= frame.support.bound[:, None]
            growth.append(torch.where(dead, -torch.inf, grown))
            stamps.append(count - burn_in)
    sums = torch.stack(growth).cumsum(0)
    unknown = ~frame.known.cummin(-1).values & (index < frame.support.bound[:, None])
    sums[:, unknown] = math.nan
    return sums, stamps
