"""ln ||J_{t:k}|| for many pairs (t, k).

A few pairs are visited one by one (``products``), many by halving the sequence (``halving``),
whichever needs fewer matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.halving import Halving, Points
from gradscope.dynamics.jacobians import (
    MEMORY_BUDGET,
    Block,
    Norm,
    Take,
    all_jacobians,
    check_norm,
    log_norm,
    part_of,
)
from gradscope.dynamics.products import jacobian_products
from gradscope.dynamics.trajectory import Trajectory
from gradscope.errors import GradscopeError


def jacobian_log_norms(
    trace: Trajectory,
    *,
    norm: Norm = "spectral",
    block: Block = "state",
    anchors: Sequence[int] | None = None,
    lags: Sequence[int] | None = None,
    pairs: Sequence[tuple[int, int]] | None = None,
    memory_budget: int = MEMORY_BUDGET,
) -> Float[Tensor, "rows columns batch"]:
    """ln ||J_{t:k}|| for many pairs (t, k), nats; -inf where a product is exactly zero.

    The table is ``(time + 1, time + 1, batch)`` with ln ||J_{t:k}|| at [t, k], and NaN for k > t
    and for pairs that were not asked for. With ``anchors`` or ``lags``, which suit long sequences,
    it is ``(anchors, lags, batch)`` with ln ||J_{t:t-lag}||, and NaN where lag > t.

        norms = gradscope.jacobian_log_norms(trace)
        norms[50, 10]  # ln ||ds_50/ds_10|| of each sequence
        gradscope.jacobian_log_norms(trace, block="hidden", lags=range(0, 50, 10))  # of dh_T/dh_k

    Args:
        trace: a trace, or step Jacobians ``(time, batch, state, state)``, or ``(time, state,
            state)`` of one sequence.
        norm: ``spectral`` or ``frobenius``.
        block: ``state``; ``hidden`` for ||dh_t/dh_k||; a part of the state by its name, such as
            ``c``; or a function that takes a part along the last axis. The norm is that of the
            block of the full product, never of a product of blocks.
        anchors: the later steps t; None with ``lags`` means the last step.
        lags: the lags t - k; None with ``anchors`` means all, 0 .. time.
        pairs: the pairs (t, k) wanted; None means all with k <= t.
        memory_budget: bytes that the products held at one time may take, not counting the step
            Jacobians and the table itself.

    Raises:
        GradscopeError: for a t, k, lag or block that does not exist, or a state too large for the
            budget.
    """
    check_norm(norm)
    jacobians = all_jacobians(trace)
    part, time = part_of(trace, block), len(jacobians)
    if anchors is None and lags is None:
        return _table(jacobians, norm, part, pairs, memory_budget)
    if pairs is not None:
        raise GradscopeError("give pairs, or anchors and lags, not both")
    later, distances = _grid(anchors, lags, time)
    chosen = [(t, t - lag) for t in later for lag in distances if lag <= t]
    table = _table(jacobians, norm, part, chosen, memory_budget)
    rows, columns = torch.tensor(later)[:, None], torch.tensor(distances)[None, :]
    values = table[rows, (rows - columns).clamp_min(0)]
    return torch.where((columns <= rows)[..., None].to(values.device), values, torch.nan)


def _grid(
    anchors: Sequence[int] | None, lags: Sequence[int] | None, time: int
) -> tuple[list[int], list[int]]:
    """The later steps and the lags, checked."""
    later = [time] if anchors is None else list(anchors)
    distances = list(range(time + 1)) if lags is None else list(lags)
    for name, chosen in (("anchors", later), ("lags", distances)):
        if not chosen:
            raise GradscopeError(f"{name} is empty; None means all")
    if any(lag < 0 for lag in distances):
        raise GradscopeError(f"a lag is at least 0, got {min(distances)}")
    if any(not 0 <= anchor <= time for anchor in later):
        raise GradscopeError(f"anchors are steps 0..{time}, got {later}")
    return later, distances


def _table(
    jacobians: Tensor,
    norm: Norm,
    part: Take | None,
    pairs: Sequence[tuple[int, int]] | None,
    budget: int,
) -> Tensor:
    time, batch, size = jacobians.shape[:3]
    table = torch.full(
        (time + 1, time + 1, batch), torch.nan, dtype=torch.float64, device=jacobians.device
    )
    if pairs is not None and not len(pairs):
        return table
    points = Points.all(time) if pairs is None else Points.of(pairs, time)
    if pairs is not None and points.sweep_cost <= points.halving_cost:
        for ts, k, products in jacobian_products(jacobians, pairs, memory_budget=budget):
            table[ts, k] = log_norm(products, norm, part)
        return table
    least = 4 * size * size * (jacobians.element_size() + 16)
    if least > budget:
        raise GradscopeError(
            f"a few products of {size} x {size} take {least / 2**20:.0f} MiB, more than the memory "
            f"budget of {budget / 2**20:.0f} MiB: raise memory_budget, or use top_singular_values, "
            "which forms none"
        )
    # a few sequences at a time, so that their products stay in the processor's caches
    most = batch if jacobians.is_cuda else max(1, 2**23 // (len(points.at) * size * size))
    group = -(-batch // -(-batch // most))
    for first in range(0, batch, group):
        sequences = slice(first, first + group)
        log_norms = Halving(jacobians[:, sequences], points, norm, part, budget).run()
        at = torch.tensor(points.at, device=table.device)
        table[at[:, None], at[None, :], sequences] = torch.where(
            points.wanted.to(log_norms.device)[..., None], log_norms, torch.nan
        )
    return table
