"""Products of step Jacobians over time: J_{t:k} = J_t J_{t-1} ... J_{k+1}."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.jacobians import MEMORY_BUDGET, all_jacobians, check_pairs
from gradscope.dynamics.scaled import Scaled, rescaled
from gradscope.dynamics.trajectory import Trajectory


def jacobian_product(trace: Trajectory, t: int, k: int) -> Scaled:
    """J_{t:k} = ds_t/ds_k = J_t J_{t-1} ... J_{k+1}, with a log scale; J_{t:t} = I.

        product = gradscope.jacobian_product(trace, 100, 0)
        product.log_spectral_norm()  # ln ||ds_100/ds_0|| of each sequence, nats

    Args:
        trace: a trace, or step Jacobians ``(time, batch, state, state)``, the first being J_1.
        t: the later step, 0..time.
        k: the earlier step, 0..t.

    Returns:
        ``Scaled`` of shape ``(batch, state, state)``.

    Raises:
        GradscopeError: unless 0 <= k <= t <= time.
    """
    jacobians = all_jacobians(trace)
    check_pairs([(t, k)], len(jacobians))
    return product_of(jacobians, t, k)


def product_of(jacobians: Float[Tensor, "time batch state state"], t: int, k: int) -> Scaled:
    """The same of step Jacobians that have been checked."""
    product = Scaled.of(_identity(jacobians) if t == k else jacobians[t - 1])
    for step in range(t - 1, k, -1):
        product = product @ Scaled.of(jacobians[step - 1])
    return product


def jacobian_products(
    trace: Trajectory, pairs: Sequence[tuple[int, int]], *, memory_budget: int = MEMORY_BUDGET
) -> Iterator[tuple[list[int], int, Scaled]]:
    """Yield (ts, k, products): J_{t:k} for many pairs, grouped by k, from the latest k on.

    ``products`` has shape ``(len(ts), batch, state, state)``. Steps between neighbouring points are
    multiplied once and shared, and every t advances in one batched product, so that all pairs of n
    points cost n^2 / 2 matrix products. The ts are split so that the products held at one time fit
    ``memory_budget`` bytes, or are those of a single t.

        for ts, k, products in gradscope.jacobian_products(trace, [(20, 0), (30, 10)]):
            print(ts, k, products.log_spectral_norm())

    Raises:
        GradscopeError: unless 0 <= k <= t <= time for every pair.
    """
    jacobians = all_jacobians(trace)
    for plan in _plans(jacobians, pairs, memory_budget):
        for ts, k, products in _sweep(jacobians, plan):
            # a copy, since the sweep goes on in the same memory
            yield ts, k, Scaled(products.mantissa.clone(), products.log_scale.clone())


class _Plan(NamedTuple):
    """A set of pairs to visit in one sweep.

    Attributes:
        wanted: the ts wanted for each k.
        lowest: the lowest k wanted for each t.
        points: every t and k, latest first.
    """

    wanted: dict[int, set[int]]
    lowest: dict[int, int]
    points: list[int]


def _plans(jacobians: Tensor, pairs: Sequence[tuple[int, int]], budget: int) -> list[_Plan]:
    """One plan for as many ts as fit the memory budget."""
    check_pairs(pairs, len(jacobians))
    room = max(1, budget // (4 * jacobians[0].numel() * jacobians.element_size()))
    anchors = sorted({t for t, _ in pairs}, reverse=True)
    plans = []
    for start in range(0, len(anchors), room):
        chosen = set(anchors[start : start + room])
        wanted: dict[int, set[int]] = {}
        lowest: dict[int, int] = {}
        for t, k in pairs:
            if t in chosen:
                wanted.setdefault(k, set()).add(t)
                lowest[t] = min(k, lowest.get(t, k))
        plans.append(_Plan(wanted, lowest, sorted({*wanted, *lowest}, reverse=True)))
    return plans


def _sweep(jacobians: Tensor, plan: _Plan) -> Iterator[tuple[list[int], int, Scaled]]:
    """Visit the points of a plan from the latest on, carrying the products of all ts along."""
    wanted, lowest, points = plan
    # steps whose largest entries are of order 1 need no log scale
    sizes = torch.linalg.vector_norm(jacobians, ord=torch.inf, dim=(-2, -1))
    tame = bool((sizes > 0.1).all() & (sizes < 10).all())
    unscaled = torch.zeros(jacobians.shape[1], dtype=torch.float64, device=jacobians.device)
    running, previous = _Running(jacobians, len(lowest)), points[0]
    for point in points:
        if running.active:
            # multiply by the steps between this point and the last, as one product for all ts
            single = tame and previous - point == 1
            segment = (
                Scaled(jacobians[point], unscaled)
                if single
                else product_of(jacobians, previous, point)
            )
            running.multiply(segment.mantissa, segment.log_scale)
        previous = point
        if point in lowest:
            running.add(point)
        if point in wanted:
            index = [i for i, t in enumerate(running.active) if t in wanted[point]]
            yield [running.active[i] for i in index], point, running.at(index)
        running.keep([i for i, t in enumerate(running.active) if lowest[t] < point])


class _Running:
    """The products J_{t:k} of all active ts, stacked for each sequence: (batch, ts * state, state).

    In this layout one step of all of them is one matrix product a sequence, into a second buffer.
    A check every few steps rescales those that have drifted out of the range in which float32 is
    safe.
    """

    CHECK = 2

    def __init__(self, jacobians: Tensor, most: int):
        self.batch, self.size = jacobians.shape[1], jacobians.shape[-1]
        self.active: list[int] = []
        self.front = jacobians.new_empty(self.batch, most * self.size, self.size)
        self.back = torch.empty_like(self.front)
        self.log_scale = torch.zeros(self.batch, most, dtype=torch.float64, device=jacobians.device)
        self.since = 0

    def _rows(self) -> int:
        return len(self.active) * self.size

    def view(self) -> Float[Tensor, "batch ts state state"]:
        """The products, up to their scales."""
        return self.front[:, : self._rows()].view(
            self.batch, len(self.active), self.size, self.size
        )

    def multiply(self, segment: Tensor, log_scale: Tensor) -> None:
        """Right-multiply every product by the segment of its sequence."""
        torch.bmm(self.front[:, : self._rows()], segment, out=self.back[:, : self._rows()])
        self.front, self.back = self.back, self.front
        self.log_scale[:, : len(self.active)] += log_scale[:, None]
        self.since += 1
        if self.since >= self.CHECK:
            self.since = 0
            rescaled(self.view(), self.log_scale[:, : len(self.active)])

    def add(self, t: int) -> None:
        """Begin another product, with J_{t:t} = I."""
        self.active.append(t)
        self.view()[:, -1] = torch.eye(self.size, dtype=self.front.dtype, device=self.front.device)
        self.log_scale[:, len(self.active) - 1] = 0.0

    def at(self, index: list[int]) -> Scaled:
        """Some of the products, with the ts as leading axis."""
        mantissa, scale = self.view().transpose(0, 1), self.log_scale[:, : len(self.active)].T
        if len(index) < len(self.active):
            chosen = torch.tensor(index, device=mantissa.device)
            mantissa, scale = mantissa[chosen], scale[chosen]
        return Scaled(mantissa, scale)

    def keep(self, index: list[int]) -> None:
        """Drop all other products."""
        if len(index) == len(self.active):
            return
        chosen = torch.tensor(index, dtype=torch.long, device=self.front.device)
        products, scale = self.view()[:, chosen], self.log_scale[:, chosen]
        self.active = [self.active[i] for i in index]
        self.view().copy_(products)
        self.log_scale[:, : len(index)] = scale


def _identity(jacobians: Tensor) -> Tensor:
    size = jacobians.shape[-1]
    return torch.eye(size, dtype=jacobians.dtype, device=jacobians.device).expand(
        jacobians.shape[1], size, size
    )
