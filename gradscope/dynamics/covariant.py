"""Covariant Lyapunov vectors: the direction in state space that belongs to each exponent."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.orthonormal import orthonormalised
from gradscope.dynamics.support import Support
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


@dataclass(frozen=True, eq=False)
class CovariantVectors:
    """Covariant Lyapunov vectors of a trajectory.

    J_t maps the i-th vector at t - 1 onto the direction of the i-th vector at t, and stretches it
    by the i-th exponent on average.

    Attributes:
        times: the steps t at which vectors are given.
        vectors: unit columns, ``(len(times), batch, state, k)``, the fastest growing first.
        exponents: mean growth of the vectors between those times, nats per step, ``(batch, k)``.
    """

    times: list[int]
    vectors: Float[Tensor, "times batch state k"]
    exponents: Float[Tensor, "batch k"]


def covariant_lyapunov_vectors(
    trace: Trajectory,
    *,
    k: int | None = None,
    burn_in: int | None = None,
    seed: int = 0,
) -> CovariantVectors:
    """The first k covariant Lyapunov vectors on the middle part of a trajectory.

    Forward in time Q_t R_t = J_t Q_{t-1}; then backward C_{t-1} = R_t^{-1} C_t with unit columns;
    the vectors are Q_t C_t. Q settles during the first ``burn_in`` steps, C during the last ones.

        found = gradscope.covariant_lyapunov_vectors(trace, k=3)
        found.vectors[0, 0, :, 0]  # the fastest growing direction at t = found.times[0]

    Args:
        trace: a trace, or step Jacobians ``(time, batch, state, state)``.
        k: number of vectors; None means all.
        burn_in: steps left out at each end; None means a quarter of the trajectory.
        seed: seed of the random starts of Q and C.

    Raises:
        GradscopeError: for a singular Jacobian, or a burn-in that leaves nothing.

    Reference: Ginelli et al. (2007), Characterizing dynamics with covariant Lyapunov vectors.
    """
    trajectory = as_trajectory(trace)
    time, _, size = extent(trajectory)
    k, burn_in = size if k is None else k, time // 4 if burn_in is None else burn_in
    check_run(time, size, k, 2 * burn_in)
    frames, triangles = _forward(trajectory, k, burn_in, seed)
    vectors, logs = _backward(frames, triangles, burn_in, seed + 1)
    times = list(range(burn_in + 1, time - burn_in + 1))
    return CovariantVectors(times, torch.stack(vectors[::-1]), torch.stack(logs).mean(0))


def _forward(
    trajectory: Trajectory, k: int, burn_in: int, seed: int
) -> tuple[list[Tensor], list[Tensor]]:
    """(Q_t, R_t) of the steps after the burn-in."""
    _, batch, size = extent(trajectory)
    q = random_frame(batch, size, k, seed, device_of(trajectory))
    support = Support(batch, size, q.device)
    frames, triangles = [], []
    for t, jacobian in enumerate(step_by_step(trajectory), start=1):
        support.follow(jacobian)
        decomposed = orthonormalised(jacobian.double() @ q, jacobian.dtype)
        q = decomposed.q
        if t > burn_in:
            regular = decomposed.known.all(-1) & (support.bound >= k)
            if not bool(regular.all()):
                sequence = int((~regular).nonzero()[0])
                raise GradscopeError(
                    f"J_t at t = {t} is singular in sequence {sequence}, or within rounding of it: "
                    "vectors need invertible ones (or a smaller k)"
                )
            frames.append(q)
            triangles.append(decomposed.r)
    return frames, triangles


def _backward(
    frames: list[Tensor], triangles: list[Tensor], burn_in: int, seed: int
) -> tuple[list[Tensor], list[Tensor]]:
    """(Q_t C_t, growth of its columns) once C has settled for ``burn_in`` steps, latest t first."""
    batch, _, k = frames[0].shape
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(k, k, dtype=torch.float64, generator=generator)
    c = drawn.triu().to(frames[0].device).expand(batch, k, k)
    vectors, logs = [], []
    for index in range(len(frames) - 1, -1, -1):
        c = c / torch.linalg.vector_norm(c, dim=-2, keepdim=True)
        settled = index < len(frames) - burn_in
        if settled:
            vectors.append(frames[index] @ c)
        c = torch.linalg.solve_triangular(triangles[index], c, upper=True)
        if settled:
            logs.append(-torch.linalg.vector_norm(c, dim=-2).log())
    return vectors, logs
