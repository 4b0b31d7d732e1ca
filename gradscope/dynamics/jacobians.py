"""Step Jacobians, their products over time, and the products' norms by lag."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.scaled import Scaled
from gradscope.errors import GradscopeError
from gradscope.trace import Trace

Norm = Literal["spectral", "frobenius"]
#: bytes that the products held at one time may take
MEMORY_BUDGET = 512 * 2**20


def step_jacobians(trace: Trace) -> Float[Tensor, "time batch state state"]:
    """J_t = ds_t/ds_{t-1} of the full state at every step of the trace, axes (..., out, in).

    Closed form for the built-in cells, torch.func for any other; computed once for a trace.

    Raises:
        GradscopeError: if the trace has no step, or a Jacobian is not finite.
    """

    def make() -> Tensor:
        if trace.time == 0:
            raise GradscopeError("the trace is empty: a Jacobian needs at least one step")
        states = trace.states.detach()
        jacobians = trace.cell.jacobian(trace.inputs, states[:-1], states[1:])
        # a finite sum has finite terms; only an infinite one needs the look at each
        if not bool(jacobians.sum().isfinite()) and not bool(torch.isfinite(jacobians).all()):
            finite = torch.isfinite(jacobians).flatten(1).all(1)
            raise GradscopeError(
                f"the step Jacobian at t = {int((~finite).nonzero()[0]) + 1} is not finite: look for NaN or "
                "inf in the weights, the inputs or the states"
            )
        return jacobians

    return trace.memo("step_jacobians", make)


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
    jacobians = _jacobians(trace)
    if not 0 <= k <= t <= len(jacobians):
        raise GradscopeError(f"J_{{t:k}} needs 0 <= k <= t <= {len(jacobians)}, got t = {t}, k = {k}")
    product = Scaled.of(_identity(jacobians) if t == k else jacobians[t - 1])
    for step in range(t - 1, k, -1):
        product = product @ Scaled.of(jacobians[step - 1])
    return product


def jacobian_products(trace: Trace | Tensor, pairs: Sequence[tuple[int, int]]) -> Iterator[tuple[list[int], int, Scaled]]:
    """J_{t:k} for many (t, k), grouped by k from the latest to the earliest: yields (ts, k, products).

    ``products`` has shape ``(len(ts), batch, state, state)``. Steps between neighbouring points are multiplied once and
    shared, and every t advances in one batched product, so all pairs of n points cost n^2 / 2 matrix products. The ts are
    split so that the products held at one time fit ``MEMORY_BUDGET``.

    Raises:
        GradscopeError: unless 0 <= k <= t <= time for every pair.
    """
    jacobians = _jacobians(trace)
    for t, k in pairs:
        if not 0 <= k <= t <= len(jacobians):
            raise GradscopeError(f"J_{{t:k}} needs 0 <= k <= t <= {len(jacobians)}, got t = {t}, k = {k}")
    one = jacobians[0].numel() * jacobians.element_size()
    room = max(1, MEMORY_BUDGET // (3 * one))
    anchors = sorted({t for t, _ in pairs}, reverse=True)
    for start in range(0, len(anchors), room):
        chosen = set(anchors[start : start + room])
        yield from _sweep(jacobians, [pair for pair in pairs if pair[0] in chosen])


def _sweep(jacobians: Tensor, pairs: Sequence[tuple[int, int]]) -> Iterator[tuple[list[int], int, Scaled]]:
    wanted: dict[int, set[int]] = {}
    lowest: dict[int, int] = {}
    for t, k in pairs:
        wanted.setdefault(k, set()).add(t)
        lowest[t] = min(k, lowest.get(t, k))
    points = sorted({point for pair in pairs for point in pair}, reverse=True)
    active: list[int] = []
    products: Scaled | None = None
    previous = points[0]
    identity = Scaled.of(_identity(jacobians))
    for point in points:
        if active and products is not None:
            # right-multiply by the steps between this point and the last: as one product where many ts share it
            segment = jacobian_product(jacobians, previous, point)
            products = products @ segment
        previous = point
        if point in lowest:
            active.append(point)
            fresh = Scaled(identity.mantissa[None], identity.log_scale[None])
            products = fresh if products is None else _join(products, fresh)
        if products is not None and point in wanted:
            index = [i for i, t in enumerate(active) if t in wanted[point]]
            chosen = products if len(index) == len(active) else products[torch.tensor(index, device=jacobians.device)]
            yield [active[i] for i in index], point, chosen
        keep = [i for i, t in enumerate(active) if lowest[t] < point]
        if products is not None and len(keep) < len(active):
            active = [active[i] for i in keep]
            products = products[torch.tensor(keep, device=jacobians.device)] if keep else None


def _join(first: Scaled, second: Scaled) -> Scaled:
    return Scaled(torch.cat((first.mantissa, second.mantissa)), torch.cat((first.log_scale, second.log_scale)))


def jacobian_log_norms(
    trace: Trace | Tensor,
    *,
    norm: Norm = "spectral",
    block: Callable[[Tensor], Tensor] | None = None,
    pairs: Sequence[tuple[int, int]] | None = None,
) -> Float[Tensor, "time+1 time+1 batch"]:
    """ln ||J_{t:k}|| at [t, k], nats; -inf where exactly zero, NaN for k > t and for pairs not asked for.

    Args:
        trace: a trace, or step Jacobians ``(time, batch, state, state)``.
        norm: of the matrix.
        block: takes a part of the state along the last axis, such as ``cell.hidden``; the norm is then of that block of the
            full product (never of a product of blocks), for the hidden part ||dh_t/dh_k||. None is the full state.
        pairs: the (t, k) wanted; None is all with k <= t.
    """
    jacobians = _jacobians(trace)
    time, batch = jacobians.shape[:2]
    if pairs is None:
        pairs = [(t, k) for t in range(time + 1) for k in range(t + 1)]
    table = torch.full((time + 1, time + 1, batch), torch.nan, dtype=torch.float64, device=jacobians.device)
    for ts, k, products in jacobian_products(jacobians, pairs):
        table[ts, k] = log_norm(products, norm, block)
    return table


def log_norm(products: Scaled, norm: Norm, block: Callable[[Tensor], Tensor] | None = None) -> Float[Tensor, "*batch"]:
    """ln of the norm of ``products``, or of one block of them."""
    if block is not None:
        products = Scaled(block(block(products.mantissa).mT).mT, products.log_scale)
    return products.log_spectral_norm() if norm == "spectral" else products.log_frobenius_norm()


def _jacobians(trace: Trace | Tensor) -> Tensor:
    return trace if isinstance(trace, Tensor) else step_jacobians(trace)


def _identity(jacobians: Tensor) -> Tensor:
    size = jacobians.shape[-1]
    return torch.eye(size, dtype=jacobians.dtype, device=jacobians.device).expand(jacobians.shape[1], size, size)
