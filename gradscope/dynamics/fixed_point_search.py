"""Fixed points of a cell under a constant input, and their stability."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from gradscope.dynamics.trace import StepFunction
from gradscope.errors import GradscopeError


@dataclass(frozen=True, eq=False)
class FixedPoints:
    """Distinct states with s = F(x, s), those that the most starts converged to first.

    Attributes:
        states: the full states, ``(points, state)``.
        residuals: ||F(x, s) - s|| of each.
        eigenvalues: eigenvalues of ds_t/ds_{t-1} at each, ``(points, state)``, by falling modulus.
        stable: whether all eigenvalues lie within the unit circle.
        time_constants: -1 / ln|lambda| of each eigenvalue, steps; negative where the mode grows,
            inf at modulus 1.
        visits: number of starts that ended at each point.
        converged: share of the starts that ended at any fixed point.
    """

    states: Float[Tensor, "points state"]
    residuals: Float[Tensor, " points"]
    eigenvalues: Complex[Tensor, "points state"]
    stable: Bool[Tensor, " points"]
    time_constants: Float[Tensor, "points state"]
    visits: Int[Tensor, " points"]
    converged: float


@torch.no_grad()
def fixed_points(
    cell: StepFunction,
    input: Float[Tensor, " input"] | None = None,
    starts: Float[Tensor, "starts state"] | None = None,
    *,
    tolerance: float = 1e-9,
    distinct: float = 1e-4,
    iterations: int = 200,
    seed: int = 0,
) -> FixedPoints:
    """Solve F(x, s) = s from many starts at once, by Levenberg-Marquardt with the cell's Jacobian.

        points = gradscope.fixed_points(cell.double())
        points.states[points.stable]  # where the cell may come to rest

    Args:
        cell: the cell, best with weights in float64.
        input: the constant x; None means zero.
        starts: states to start from, such as states of a trace; None means 256 drawn from N(0, 1).
        tolerance: norm of the residual at which a start has converged.
        distinct: distance below which two solutions count as one.
        iterations: the most iterations for any start.
        seed: seed of the drawn starts.

    Raises:
        GradscopeError: for an input or starts whose shape does not fit the cell.

    Reference: Sussillo and Barak (2013), Opening the black box, for the question; the solver is a
    plain damped Newton.
    """
    like = cell.initial_state(1)
    x = like.new_zeros(cell.input_size) if input is None else input.to(like)
    if starts is None:
        generator = torch.Generator().manual_seed(seed)
        starts = torch.randn(256, cell.state_size, generator=generator, dtype=torch.float64)
    if x.shape != (cell.input_size,) or starts.dim() != 2 or starts.shape[1] != cell.state_size:
        wanted = f"an input ({cell.input_size},) and starts (starts, {cell.state_size})"
        raise GradscopeError(f"needs {wanted}, got {tuple(x.shape)} and {tuple(starts.shape)}")
    x = x.expand(len(starts), -1)
    states, residuals = _damped_newton(cell, x, starts.to(like).clone(), tolerance, iterations)
    solved = residuals.norm(dim=-1) < tolerance
    share = float(solved.double().mean())
    return _collected(cell, x, states[solved], residuals[solved], distinct, share)


def _damped_newton(
    cell: StepFunction,
    x: Float[Tensor, "starts input"],
    s: Float[Tensor, "starts state"],
    tolerance: float,
    iterations: int,
) -> tuple[Float[Tensor, "starts state"], Float[Tensor, "starts state"]]:
    """(s, F(x, s) - s) at the end; a step that does not lower the residual is not taken."""
    damping = s.new_full((len(s),), 1e-2)
    identity = torch.eye(cell.state_size, dtype=s.dtype, device=s.device)
    residual = cell(x, s) - s
    for _ in range(iterations):
        norm = residual.norm(dim=-1)
        if bool((norm < tolerance).all()):
            break
        slope = cell.jacobian(x, s, s + residual) - identity
        normal = slope.mT @ slope + damping[:, None, None] * identity
        step = -torch.linalg.solve(normal, slope.mT @ residual.unsqueeze(-1)).squeeze(-1)
        trial = s + step
        after = cell(x, trial) - trial
        better = after.norm(dim=-1) < norm
        s = torch.where(better[:, None], trial, s)
        residual = torch.where(better[:, None], after, residual)
        damping = torch.where(better, damping * 0.2, damping * 4).clamp(1e-14, 1e8)
    return s, residual


def _collected(
    cell: StepFunction, x: Tensor, s: Tensor, residual: Tensor, distinct: float, converged: float
) -> FixedPoints:
    """The solutions without their copies, the best of each kept; and their stability."""
    representatives: list[int] = []
    visits: list[int] = []
    for index in residual.norm(dim=-1).argsort().tolist():
        distances = (s[representatives] - s[index]).norm(dim=-1) if visits else s.new_empty(0)
        if len(distances) and float(distances.min()) < distinct:
            visits[int(distances.argmin())] += 1
        else:
            representatives.append(index)
            visits.append(1)
    count = torch.tensor(visits, dtype=torch.long)
    order = count.argsort(descending=True, stable=True)
    chosen = torch.tensor(representatives, dtype=torch.long)[order]
    states = s[chosen]
    if len(states):
        jacobians = cell.jacobian(x[: len(states)], states, cell(x[: len(states)], states))
    else:
        jacobians = s.new_empty(0, s.shape[-1], s.shape[-1])
    eigenvalues = torch.linalg.eigvals(jacobians.double())
    eigenvalues = eigenvalues.gather(-1, eigenvalues.abs().argsort(dim=-1, descending=True))
    return FixedPoints(
        states,
        residual[chosen].norm(dim=-1),
        eigenvalues,
        (eigenvalues.abs() < 1).all(-1),
        -1 / eigenvalues.abs().log(),
        count[order],
        converged,
    )
