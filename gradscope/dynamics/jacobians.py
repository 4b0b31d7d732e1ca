"""Step Jacobians, their products over time, and the products' norms by lag."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.scaled import Scaled, rescaled
from gradscope.dynamics.trace import Trace
from gradscope.errors import GradscopeError

Norm = Literal["spectral", "frobenius"]
#: a part of the state: by name, or as a function that takes it along the last axis
Block = str | Callable[[Tensor], Tensor]
#: what takes a part of the state along the last axis; None for all of it
Part = Callable[[Tensor], Tensor] | None
#: bytes that the products held at one time may take
MEMORY_BUDGET = 512 * 2**20


def step_jacobians(trace: Trace) -> Float[Tensor, "time batch state state"]:
    """J_t = ds_t/ds_{t-1} of the full state at every step of the trace, axes (..., out, in).

    Closed form for the built-in cells, torch.func for any other; computed once for a trace.

    Raises:
        GradscopeError: if the trace has no step, a Jacobian is not finite, or all of them do not
            fit into memory.
    """

    def make() -> Tensor:
        if trace.time == 0:
            raise GradscopeError("the trace is empty: a Jacobian needs at least one step")
        states = trace.states.detach()
        _check_room(states)
        jacobians = trace.cell.jacobian(trace.inputs, states[:-1], states[1:])
        # a finite sum has finite terms; only an infinite one needs the look at each
        if not bool(jacobians.sum().isfinite()) and not bool(torch.isfinite(jacobians).all()):
            finite = torch.isfinite(jacobians).flatten(1).all(1)
            raise GradscopeError(
                f"the step Jacobian at t = {int((~finite).nonzero()[0]) + 1} is not finite: look"
                " for NaN or inf in the weights, the inputs or the states"
            )
        return jacobians

    return trace.memo("step_jacobians", make)


def _check_room(states: Tensor) -> None:
    steps, batch, size = states.shape
    needed = (steps - 1) * batch * size**2 * states.element_size()
    if states.is_cuda:
        there = torch.cuda.mem_get_info(states.device)[1]
    else:
        there = (
            os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
            if hasattr(os, "sysconf")
            else 2**63
        )
    if needed > there:
        raise GradscopeError(
            f"the step Jacobians of {steps - 1} steps, {batch} sequences and a state of {size} take"
            f" {needed / 2**30:.0f} GiB, and {states.device} has {there / 2**30:.0f}: take fewer"
            " sequences or steps, or a quantity that forms none or a few at a time"
            " (top_singular_values, lyapunov_spectrum with k, adjoints, lag_contributions)"
        )


def jacobian_product(trace: Trace | Tensor, t: int, k: int) -> Scaled:
    """J_{t:k} = ds_t/ds_k = J_t J_{t-1} ... J_{k+1}, with its log scale; J_{t:t} = I.

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
    if not 0 <= k <= t <= len(jacobians):
        raise GradscopeError(
            f"J_{{t:k}} needs 0 <= k <= t <= {len(jacobians)}, got t = {t}, k = {k}"
        )
    product = Scaled.of(_identity(jacobians) if t == k else jacobians[t - 1])
    for step in range(t - 1, k, -1):
        product = product @ Scaled.of(jacobians[step - 1])
    return product


def jacobian_products(
    trace: Trace | Tensor, pairs: Sequence[tuple[int, int]], *, memory_budget: int = MEMORY_BUDGET
) -> Iterator[tuple[list[int], int, Scaled]]:
    """J_{t:k} for many (t, k), grouped by k from the latest to the earliest: yields (ts, k,
    products).

    ``products`` has shape ``(len(ts), batch, state, state)``. Steps between neighbouring points are
    multiplied once and shared, and every t advances in one batched product, so all pairs of n
    points cost n^2 / 2 matrix products. The ts are split so that the products held at one time fit
    ``memory_budget`` bytes; one t at least is in hand.

    Raises:
        GradscopeError: unless 0 <= k <= t <= time for every pair.
    """
    jacobians = all_jacobians(trace)
    for plan in _plans(jacobians, pairs, memory_budget):
        for ts, k, products in _sweep(jacobians, plan):
            # the sweep goes on in the same memory: what is handed out is a copy
            yield ts, k, Scaled(products.mantissa.clone(), products.log_scale.clone())


class _Plan(NamedTuple):
    """A set of pairs to visit in one sweep: k to its ts, t to its lowest k, and all points, latest
    first.
    """

    wanted: dict[int, set[int]]
    lowest: dict[int, int]
    points: list[int]


def check_pairs(pairs: Sequence[tuple[int, int]], time: int) -> None:
    """Every pair has 0 <= k <= t <= time.

    Raises:
        GradscopeError: if not.
    """
    for t, k in pairs:
        if not 0 <= k <= t <= time:
            raise GradscopeError(f"J_{{t:k}} needs 0 <= k <= t <= {time}, got t = {t}, k = {k}")


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
    wanted, lowest, points = plan
    # steps whose largest entries are of order 1 need no scale of their own
    sizes = torch.linalg.vector_norm(jacobians, ord=torch.inf, dim=(-2, -1))
    tame = bool((sizes > 0.1).all() & (sizes < 10).all())
    unscaled = torch.zeros(jacobians.shape[1], dtype=torch.float64, device=jacobians.device)
    running, previous = _Running(jacobians, len(lowest)), points[0]
    for point in points:
        if running.active:
            # multiply by the steps between this point and the last, as one product that all ts
            # share
            single = tame and previous - point == 1
            segment = (
                Scaled(jacobians[point], unscaled)
                if single
                else jacobian_product(jacobians, previous, point)
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
    """The products J_{t:k} of all ts in hand, one below another for each sequence: (batch, ts *
    state, state).

    So laid out, one step of all of them is one matrix product a sequence, into a second buffer.
    They are rescaled when a check every few steps finds one drifting out of the range in which
    float32 is safe.
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
        """Take J_{t:t} = I in hand."""
        self.active.append(t)
        self.view()[:, -1] = torch.eye(self.size, dtype=self.front.dtype, device=self.front.device)
        self.log_scale[:, len(self.active) - 1] = 0.0

    def at(self, index: list[int]) -> Scaled:
        """Some of the products, ts first."""
        mantissa, scale = self.view().transpose(0, 1), self.log_scale[:, : len(self.active)].T
        if len(index) < len(self.active):
            chosen = torch.tensor(index, device=mantissa.device)
            mantissa, scale = mantissa[chosen], scale[chosen]
        return Scaled(mantissa, scale)

    def keep(self, index: list[int]) -> None:
        """Let the others go."""
        if len(index) == len(self.active):
            return
        chosen = torch.tensor(index, dtype=torch.long, device=self.front.device)
        kept, scale = self.view()[:, chosen], self.log_scale[:, chosen]
        self.active = [self.active[i] for i in index]
        self.view().copy_(kept)
        self.log_scale[:, : len(index)] = scale


def part_of(trace: Trace | Tensor, block: Block) -> Part:
    """What takes a block of the state along the last axis; None for the whole.

    Raises:
        GradscopeError: for a name that the state does not have.
    """
    if not isinstance(block, str):
        return block
    if block == "state":
        return None
    known = {} if isinstance(trace, Tensor) else trace.cell.blocks
    if block == "hidden" and not isinstance(trace, Tensor):
        return trace.cell.hidden
    if block not in known:
        raise GradscopeError(
            f"the state has no part {block!r}; known:"
            f" {', '.join(['state', *(['hidden'] if known else []), *known])}"
        )
    place = known[block]
    return lambda s: s[..., place]


def log_norm(products: Scaled, norm: Norm, block: Part = None) -> Float[Tensor, "*batch"]:
    """ln of the norm of ``products``, or of one block of them."""
    if block is not None:
        products = Scaled(block(block(products.mantissa).mT).mT, products.log_scale)
    return products.log_spectral_norm() if norm == "spectral" else products.log_frobenius_norm()


def all_jacobians(trace: Trace | Tensor) -> Tensor:
    """Those of a trace, or those given."""
    return trace if isinstance(trace, Tensor) else step_jacobians(trace)


def _identity(jacobians: Tensor) -> Tensor:
    size = jacobians.shape[-1]
    return torch.eye(size, dtype=jacobians.dtype, device=jacobians.device).expand(
        jacobians.shape[1], size, size
    )
