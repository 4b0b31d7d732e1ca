"""Singular values of long products: all of them, each accurate, or the largest few."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import ArpackError, LinearOperator, svds
from torch import Tensor

from gradscope.dynamics.jacobians import check_pairs
from gradscope.dynamics.orthonormal import orthonormalised
from gradscope.dynamics.resolution import resolved
from gradscope.dynamics.scaled import vector_norms
from gradscope.dynamics.support import Support
from gradscope.dynamics.trace import Trace
from gradscope.dynamics.trajectory import (
    Trajectory,
    as_trajectory,
    device_of,
    extent,
    part,
    random_frame,
    step_by_step,
)
from gradscope.errors import GradscopeError

_SWEEPS = 40
_ORTHOGONAL = 1e-13


def singular_value_spectrum(trace: Trajectory, t: int, k: int) -> Float[Tensor, "batch state"]:
    """ln of all singular values of J_{t:k}, descending, nats.

    They end in -inf for those that are exactly zero because units are dead or pass nothing on.
    Before those stands NaN for values that are only known to lie below the rounding of a single
    step, as where the weights are of low rank.

    The smallest is as accurate as the largest, whereas an SVD of the formed product loses every
    value below eps times the largest. The product is kept as Q diag(e^d) U: each step costs a QR
    decomposition, whose triangle is folded into rows of scale e^d and direction U. At the end a
    one-sided Jacobi iteration runs on those rows, with rotations computed from the ratios of the
    scales, so that no range is too wide.

        logs = gradscope.singular_value_spectrum(trace, 100, 0)  # (batch, state)

    Args:
        trace: a trace, or step Jacobians ``(time, batch, state, state)``, the first being J_1, or
            ``(time, state, state)`` of one sequence.
        t: the later step.
        k: the earlier step.

    Raises:
        GradscopeError: unless 0 <= k <= t <= time, or for Jacobians that are not finite.

    Reference: Demmel and Veselic (1992), Jacobi's method is more accurate than QR; Stewart (1997),
    On graded QR decompositions of products of matrices.
    """
    trajectory = as_trajectory(trace)
    time, batch, size = extent(trajectory)
    check_pairs([(t, k)], time)
    product = part(trajectory, k, t)
    q = random_frame(batch, size, size, 0, device_of(trajectory))
    rows, scales = q.mT.clone(), torch.zeros(batch, size, dtype=torch.float64, device=q.device)
    support, known = Support(batch, size, q.device), torch.full((batch,), size, device=q.device)
    for jacobian in step_by_step(product):
        support.follow(jacobian)
        decomposed = orthonormalised(jacobian.double() @ q, jacobian.dtype)
        q = decomposed.q
        known = torch.minimum(known, decomposed.known.sum(-1))
        rows, scales = _fold(decomposed.r, rows, scales)
    values, index = _jacobi(rows, scales), torch.arange(size, device=q.device)
    values[index >= known[:, None]] = math.nan
    values[index >= support.rank(product)[:, None]] = -math.inf
    return values


def _fold(r: Tensor, rows: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
    """R diag(e^scales) rows as scaled rows again.

    Each new row is summed relative to its largest term.
    """
    terms = r.abs().log() + scales.unsqueeze(-2)
    largest = terms.amax(-1)
    safe = torch.where(largest.isfinite(), largest, torch.zeros_like(largest))
    weights = r.sign() * (terms - safe.unsqueeze(-1)).exp()
    return _normalised(weights @ rows, largest)


def _normalised(rows: Tensor, scales: Tensor) -> tuple[Tensor, Tensor]:
    """The same scaled rows with directions of unit length."""
    norms = torch.linalg.vector_norm(rows, dim=-1)
    safe = torch.where(norms > 0, norms, torch.ones_like(norms))
    return rows / safe.unsqueeze(-1), scales + norms.log()


def _jacobi(rows: Tensor, scales: Tensor) -> Float[Tensor, "batch state"]:
    """ln of the singular values of diag(e^scales) rows, by one-sided Jacobi iteration.

    Disjoint pairs of rows are rotated at once until all rows are orthogonal.
    """
    size = rows.shape[-2]
    order = scales.argsort(dim=-1, descending=True)
    rows, scales = rows.gather(-2, order.unsqueeze(-1).expand_as(rows)), scales.gather(-1, order)
    if size == 1:
        return scales
    for _ in range(_SWEEPS):
        worst = 0.0
        for first, second in _round_robin(size, rows.device):
            rows, scales, gamma = _rotate(rows, scales, first, second)
            worst = max(worst, gamma)
        if worst < _ORTHOGONAL * size:
            break
    return scales.sort(dim=-1, descending=True).values


def _rotate(
    rows: Tensor, scales: Tensor, first: Tensor, second: Tensor
) -> tuple[Tensor, Tensor, float]:
    """Make the rows of each pair orthogonal; also gives the largest |cosine| there was.

    For rows e^p u and e^q v with p >= q, rho = e^(q - p) and gamma = u.v, the rotation by theta
    follows from tau = tan(theta) / rho, which stays finite as rho goes to 0: the rotation then
    turns into a step of Gram-Schmidt.
    """
    u, v, p, q = rows[:, first], rows[:, second], scales[:, first], scales[:, second]
    swap = q > p
    u, v = torch.where(swap[..., None], v, u), torch.where(swap[..., None], u, v)
    p, q = torch.maximum(p, q), torch.minimum(p, q)
    rho = torch.where(
        q.isfinite(),
        (q - torch.where(p.isfinite(), p, torch.zeros_like(p))).exp(),
        torch.zeros_like(q),
    )
    gamma = (u * v).sum(-1)
    halved = (1 - rho * rho) / (2 * torch.where(gamma == 0, torch.ones_like(gamma), gamma))
    tau = torch.where(halved < 0, -1.0, 1.0) / (halved.abs() + (rho * rho + halved * halved).sqrt())
    tau = torch.where(gamma == 0, torch.zeros_like(tau), tau)
    tangent = rho * tau
    cosine = (1 + tangent * tangent).rsqrt()[..., None]
    larger, p = _normalised(cosine * (u + (tangent * rho)[..., None] * v), p)
    smaller, q = _normalised(cosine * (v - tau[..., None] * u), q)
    rows, scales = rows.clone(), scales.clone()
    rows[:, first], rows[:, second], scales[:, first], scales[:, second] = larger, smaller, p, q
    return rows, scales, float(gamma.abs().max())


def _round_robin(size: int, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Every pair of places once, in rounds of disjoint pairs, by the circle method.

    The lower place of a pair comes first; that is where the larger row goes.
    """
    players = [*range(size), *([-1] if size % 2 else [])]
    rounds = []
    for _ in range(len(players) - 1):
        half = len(players) // 2
        pairs = [
            (min(pair), max(pair))
            for pair in zip(players[:half], players[half:][::-1], strict=True)
            if min(pair) >= 0
        ]
        rounds.append(tuple(torch.tensor(side, device=device) for side in zip(*pairs, strict=True)))
        players = [players[0], players[-1], *players[1:-1]]
    return rounds


def top_singular_values(
    trace: Trace, t: int, k: int, count: int = 1, *, sequence: int = 0, tolerance: float = 1e-8
) -> Float[Tensor, " count"]:
    """ln of the largest singular values of J_{t:k} of one sequence, descending, nats.

    No Jacobian is formed: products with vectors go step by step through the cell's linearisation,
    and ARPACK (scipy) does the rest. It takes the memory of the states and a few dozen vectors.

        gradscope.top_singular_values(trace, 100, 0, count=3)  # of a state of thousands of units

    Args:
        trace: a trace of a cell.
        t: the later step.
        k: the earlier step.
        count: how many values, fewer than the length of the state.
        sequence: which sequence of the batch.
        tolerance: relative tolerance of the values.

    Raises:
        GradscopeError: for t, k or count that do not fit, or if the iteration does not converge.
    """
    size = trace.states.shape[-1]
    if not 0 <= k < t <= trace.time:
        raise GradscopeError(f"J_{{t:k}} needs 0 <= k < t <= {trace.time}, got t = {t}, k = {k}")
    if not 1 <= count < size:
        raise GradscopeError(f"count should be 1..{size - 1}, got {count}")
    product = _Product(trace.sequences(slice(sequence, sequence + 1)).steps(k, t))
    start = np.random.default_rng(0).standard_normal(size)
    if not np.any(product.measure(start)):
        return torch.full((count,), -math.inf, dtype=torch.float64)
    values = _largest(product, start, count, tolerance)
    with np.errstate(divide="ignore"):  # ln 0 = -inf
        logs = np.sort(np.log(values))[::-1] + product.scales.sum()
    return torch.from_numpy(logs.copy())


def _largest(product: _Product, start: np.ndarray, count: int, tolerance: float) -> np.ndarray:
    """The largest singular values of a product, over its scale."""
    size = len(start)
    vectors = min(size - 1, max(2 * count + 1, 8))
    if vectors <= count:  # the state is too small for a Krylov space
        transposed = np.stack([product.forward(unit) for unit in np.eye(size)])
        return np.linalg.svd(transposed, compute_uv=False)[:count]
    operator = LinearOperator(
        (size, size), matvec=product.forward, rmatvec=product.backward, dtype=np.float64
    )
    try:
        found = svds(
            operator, k=count, ncv=vectors, tol=tolerance, v0=start, return_singular_vectors=False
        )
        return np.asarray(found)
    except ArpackError as error:
        raise GradscopeError(
            f"the largest singular values were not found ({error}); singular_value_spectrum finds "
            "all of them another way"
        ) from None


class _Product:
    """J_{t:k} of one sequence as a function of vectors, step by step.

    Each step is divided by a scale found on a first pass, so that no vector under- or overflows.
    """

    def __init__(self, trace: Trace):
        trace = resolved(trace)
        linear = trace.linearisation()
        self.steps = [linear.at(slice(step, step + 1)) for step in range(trace.time)]
        self.scales = np.zeros(trace.time)
        self.like = trace.states

    def measure(self, vector: np.ndarray) -> np.ndarray:
        """J v, which also finds the scales of the steps."""
        v = self._tensor(vector)
        for index, step in enumerate(self.steps):
            v = step.jvp(v)
            size = float(vector_norms(v))
            self.scales[index] = math.log(size) if size else 0.0
            v = v * math.exp(-self.scales[index])
        return self._array(v)

    def forward(self, vector: np.ndarray) -> np.ndarray:
        """J v."""
        v = self._tensor(vector)
        for step, scale in zip(self.steps, self.scales, strict=True):
            v = step.jvp(v) * math.exp(-scale)
        return self._array(v)

    def backward(self, vector: np.ndarray) -> np.ndarray:
        """J^T a."""
        a = self._tensor(vector)
        for step, scale in zip(self.steps[::-1], self.scales[::-1], strict=True):
            a = step.vjp(a)[0] * math.exp(-scale)
        return self._array(a)

    def _tensor(self, vector: np.ndarray) -> Tensor:
        return torch.as_tensor(vector.reshape(1, 1, -1)).to(self.like)

    @staticmethod
    def _array(vector: Tensor) -> np.ndarray:
        return vector.double().cpu().numpy().ravel()
