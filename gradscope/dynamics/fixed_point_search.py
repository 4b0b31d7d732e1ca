"""Fixed points of a cell under a constant input, and their stability."""

from __future__ import annotations

import math
import warnings
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
        closest: the smallest residual that any start reached.
        tolerance: of the residual at which a start has converged.
    """

    states: Float[Tensor, "points state"]
    residuals: Float[Tensor, " points"]
    eigenvalues: Complex[Tensor, "points state"]
    stable: Bool[Tensor, " points"]
    time_constants: Float[Tensor, "points state"]
    visits: Int[Tensor, " points"]
    converged: float
    closest: float
    tolerance: float

    def __repr__(self) -> str:
        count = len(self.states)
        return (
            f"FixedPoints({count or 'no'} point{'s' * (count != 1)}, {int(self.stable.sum())} "
            f"stable; {self.converged:.0%} of the starts converged; smallest residual "
            f"{self.closest:.1e}, tolerance {self.tolerance:.0e})"
        )


@torch.no_grad()
def fixed_points(
    cell: StepFunction,
    input: Float[Tensor, " input"] | None = None,
    starts: Float[Tensor, "starts state"] | None = None,
    *,
    tolerance: float | None = None,
    distinct: float = 1e-4,
    iterations: int = 200,
    seed: int = 0,
) -> FixedPoints:
    """Solve F(x, s) = s from many starts at once, by Levenberg-Marquardt with the cell's Jacobian.

        points = gradscope.fixed_points(cell)
        points.states[points.stable]  # where the cell may come to rest

    Two solutions are one point if they are nearer to each other than ``distinct`` and the distance
    over which each of them is uncertain, which is large where F(x, s) - s is flat. A warning says
    so if no start converges.

    Args:
        cell: the cell; the search is as exact as the dtype of its weights.
        input: the constant x; None means zero.
        starts: states to start from, such as states of a trace; None means 256 drawn from N(0, 1).
        tolerance: norm of the residual at which a start has converged; None means 1e-9 in float64,
            and in float32 what rounding allows, about 1e-5 for a hundred units.
        distinct: distance below which two solutions count as one.
        iterations: the most iterations for any start.
        seed: seed of the drawn starts.

    Raises:
        GradscopeError: for an input or starts whose shape does not fit the cell, or a tolerance
            below what its dtype resolves.

    Reference: Sussillo and Barak (2013), Opening the black box, for the question; the solver is a
    plain damped Newton.
    """
    x, starts = _begun(cell, input, starts, seed)
    tolerance = _tolerance(tolerance, starts)
    states, residuals = _damped_newton(cell, x, starts.clone(), tolerance, iterations)
    norms = residuals.norm(dim=-1)
    solved, closest = norms < tolerance, float(norms.nan_to_num(torch.inf).min())
    if not bool(solved.any()):
        warnings.warn(
            f"no fixed point was found: the smallest residual of {len(starts)} starts is "
            f"{closest:.1e}, not below {tolerance:.0e}; give other starts, or there is none",
            stacklevel=2,
        )
    search = (len(starts), closest, tolerance)
    return _described(cell, x, states[solved], residuals[solved], distinct, search)


def _begun(
    cell: StepFunction, input: Tensor | None, starts: Tensor | None, seed: int
) -> tuple[Float[Tensor, "starts input"], Float[Tensor, "starts state"]]:
    """The input at every start, and the starts, checked."""
    like = cell.initial_state(1)
    x = like.new_zeros(cell.input_size) if input is None else input.to(like)
    if starts is None:
        generator = torch.Generator().manual_seed(seed)
        starts = torch.randn(256, cell.state_size, generator=generator, dtype=torch.float64)
    if (
        x.shape != (cell.input_size,)
        or starts.dim() != 2
        or starts.shape[1] != cell.state_size
        or not len(starts)
    ):
        wanted = f"an input ({cell.input_size},) and starts (starts, {cell.state_size})"
        raise GradscopeError(f"needs {wanted}, got {tuple(x.shape)} and {tuple(starts.shape)}")
    return x.expand(len(starts), -1), starts.to(like)


def _described(
    cell: StepFunction,
    x: Tensor,
    solutions: Tensor,
    residuals: Tensor,
    distinct: float,
    search: tuple[int, float, float],
) -> FixedPoints:
    """The points of these solutions, and their stability.

    ``search`` is the number of starts, the smallest residual and the tolerance.
    """
    starts, closest, tolerance = search
    chosen, visits = _distinct(cell, x, solutions, residuals, distinct)
    points, left = solutions[chosen], residuals[chosen].norm(dim=-1)
    if len(points):
        jacobians = cell.jacobian(x[: len(points)], points, cell(x[: len(points)], points))
    else:
        jacobians = solutions.new_empty(0, cell.state_size, cell.state_size)
    eigenvalues = torch.linalg.eigvals(jacobians.double())
    eigenvalues = eigenvalues.gather(-1, eigenvalues.abs().argsort(dim=-1, descending=True))
    return FixedPoints(
        points,
        left,
        eigenvalues,
        (eigenvalues.abs() < 1).all(-1),
        -1 / eigenvalues.abs().log(),
        visits,
        len(solutions) / starts,
        closest,
        tolerance,
    )


def _tolerance(given: float | None, starts: Float[Tensor, "starts state"]) -> float:
    """The tolerance of the residual, checked against the rounding error of a step."""
    largest = max(1.0, float(starts.abs().max()))
    resolved = 4 * torch.finfo(starts.dtype).eps * math.sqrt(starts.shape[1]) * largest
    if given is None:
        return max(1e-9, 4 * resolved)
    if given < resolved / 4:
        raise GradscopeError(
            f"a tolerance of {given:.0e} is below what {starts.dtype} resolves, about "
            f"{resolved:.0e}: give a larger one, or the cell in float64 (cell.double())"
        )
    return given


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


def _distinct(
    cell: StepFunction, x: Tensor, s: Tensor, residual: Tensor, distinct: float
) -> tuple[Int[Tensor, " points"], Int[Tensor, " points"]]:
    """(the best solution of each point, how many solutions are it), the most visited first."""
    uncertain = _uncertainty(cell, x, s, residual)
    representatives: list[int] = []
    visits: list[int] = []
    for index in residual.norm(dim=-1).argsort().tolist():
        apart = (s[representatives] - s[index]).norm(dim=-1)
        apart = apart - uncertain[representatives] - uncertain[index]
        if len(apart) and float(apart.min()) < distinct:
            visits[int(apart.argmin())] += 1
        else:
            representatives.append(index)
            visits.append(1)
    count = torch.tensor(visits, dtype=torch.long)
    order = count.argsort(descending=True, stable=True)
    return torch.tensor(representatives, dtype=torch.long)[order], count[order]


def _uncertainty(
    cell: StepFunction, x: Tensor, s: Tensor, residual: Tensor
) -> Float[Tensor, " solutions"]:
    """How far a solution may be from the point: ten Newton steps.

    A root of multiplicity m is m steps away. Directions in which the map does not move at all, as
    along a line of fixed points, are left out.
    """
    if not len(s):
        return s.new_empty(0)
    slope = cell.jacobian(x[: len(s)], s, s + residual) - torch.eye(
        s.shape[1], dtype=s.dtype, device=s.device
    )
    u, values, _ = torch.linalg.svd(slope.double())
    along = (u.mT @ residual.double().unsqueeze(-1)).squeeze(-1)
    floor = torch.finfo(s.dtype).eps ** 1.5
    steps = along * values / (values**2 + floor)
    return 10 * steps.norm(dim=-1).to(s.dtype)
