"""Lag contributions: backpropagation through time taken apart by how far back each term reaches.

dL/dW = sum_lag G_lag,    G_lag = sum_t (dl_t/ds_t) J_{t:t-lag} (d+s_{t-lag}/dW)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.backpropagation import adjoints, immediate_gradients
from gradscope.dynamics.trace import Trace
from gradscope.errors import GradscopeError


@dataclass(frozen=True, eq=False)
class LagContributions:
    """How a gradient is made up of its lags.

    Attributes:
        lags: 0 .. the largest asked for.
        log_norms: ln ||G_lag||, nats, over the chosen parameters together; -inf where exactly zero.
        cosines: cosine of G_lag with the full gradient G; NaN where G_lag is zero.
        shares: <G_0 + ... + G_lag, G> / ||G||^2, the cumulative share; 1 at the last lag if all
            lags are there.
        tensors: parameter to ``(lags, *shape)`` of the G_lag themselves, where they were asked for.
    """

    lags: list[int]
    log_norms: Float[Tensor, " lags"]
    cosines: Float[Tensor, " lags"]
    shares: Float[Tensor, " lags"]
    tensors: dict[str, Tensor] | None = None


def lag_contributions(
    trace: Trace,
    losses: Float[Tensor, "scored batch"] | None = None,
    *,
    parameter: str | Sequence[str] | None = None,
    lags: int | None = None,
    tensors: bool = False,
) -> LagContributions:
    """dL/dW split by lag, exactly.

        parts = gradscope.lag_contributions(trace, losses)
        parts.shares[10]  # how much of dL/dW the lags up to 10 make up

    Every lag is one vectorised pass over all steps that still carry a term, so T lags cost T^2 / 2
    steps if every step has a loss and T steps if only one has.

    Args:
        trace: whose states require grad.
        losses: made from ``trace.states``; None is ``trace.losses``. What counts is their sum.
        parameter: name or names of the cell's parameters, such as weight_hh; None is all of them
            together.
        lags: the largest lag; None is all, 0 .. time - 1.
        tensors: keep the G_lag themselves.

    Raises:
        GradscopeError: for an unknown parameter, or as ``immediate_gradients``.
    """
    names = chosen_parameters(trace, parameter)
    whole = {
        name: value.double() for name, value in gradient(trace, losses).items() if name in names
    }
    whole_norm = joint_norm(whole)
    kept: dict[str, list[Tensor]] = {name: [] for name in names}
    log_norms, cosines, dots = [], [], []
    last = trace.time - 1 if lags is None else min(lags, trace.time - 1)
    for scale, parts in by_lag(trace, immediate_gradients(trace, losses), last, names=names):
        part = {name: parts[name].double() for name in names}
        norm = joint_norm(part)
        dot = sum(((part[name] * whole[name]).sum() for name in names), start=norm.new_zeros(()))
        log_norms.append(norm.log() + scale)
        cosines.append(dot / (norm * whole_norm))
        dots.append(dot * scale.exp() / whole_norm**2)
        if tensors:
            for name in names:
                kept[name].append(parts[name] * scale.exp().to(parts[name].dtype))
    return LagContributions(
        list(range(len(log_norms))),
        torch.stack(log_norms),
        torch.stack(cosines),
        torch.stack(dots).cumsum(0),
        {name: torch.stack(values) for name, values in kept.items()} if tensors else None,
    )


def gradient(
    trace: Trace,
    losses: Float[Tensor, "scored batch"] | None = None,
    *,
    tbptt: tuple[int, int] | None = None,
) -> dict[str, Tensor]:
    """dL/dW of the cell's parameters, by name, from the adjoints: sum_t a_t^T d+s_t/dW.

    Args:
        trace: whose states require grad, or that has an immediate gradient.
        losses: made from ``trace.states``; None is ``trace.losses``.
        tbptt: (length, stride) of truncated BPTT; None is the whole gradient.

    Raises:
        GradscopeError: as ``adjoints``.
    """
    a = adjoints(trace, losses, tbptt=tbptt).values().to(trace.states.dtype)
    return trace.linearisation().by_parameters(a[1:])


def by_lag(
    trace: Trace,
    current: Float[Tensor, "times batch state"],
    last: int,
    block: slice | None = None,
    names: Collection[str] | None = None,
) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """For lag = 0 .. last: (log scale, G_lag over its scale).

    b_k^(lag) = J_{k+1}^T b_{k+1}^(lag-1), for all k that still carry something at once. With
    ``block`` the weights' gradient is taken of that part of b alone, as if the other parts of s_k
    did not depend on the weights; with ``names`` of those parameters alone.
    """
    linear = trace.linearisation()
    scale = torch.zeros((), dtype=torch.float64, device=current.device)
    reached = current.flatten(1).ne(0).any(1).nonzero().flatten()
    low, high = (int(reached[0]), int(reached[-1])) if len(reached) else (1, 0)
    current = current[low : high + 1]
    for lag in range(last + 1):
        if low == 0:  # the initial state uses no weight
            low, current = 1, current[1:]
        if low > high:
            zero = {
                n: torch.zeros_like(p)
                for n, p in trace.cell.named_parameters()
                if names is None or n in names
            }
            yield scale, zero
            continue
        largest = current.abs().max()
        if bool((largest > 0) & ((largest < 1e-6) | (largest > 1e6) | (lag == 0))):
            current, scale = current / largest, scale + largest.double().log()
        steps, part = linear.at(slice(low - 1, high)), current
        if block is not None:
            part = torch.zeros_like(current)
            part[..., block] = current[..., block]
        yield scale, steps.by_parameters(part, names)
        if lag < last:
            current = steps.vjp(current)[0]
            low, high = low - 1, high - 1


def chosen_parameters(trace: Trace, parameter: str | Sequence[str] | None) -> list[str]:
    """The names asked for, checked; all of the cell's for None."""
    known = [name for name, _ in trace.cell.named_parameters()]
    if parameter is None:
        return known
    chosen = [parameter] if isinstance(parameter, str) else list(parameter)
    for name in chosen:
        if name not in known:
            raise GradscopeError(f"the cell has no parameter {name!r}; known: {', '.join(known)}")
    return chosen


def joint_norm(tensors: Mapping[str, Tensor]) -> Float[Tensor, ""]:
    """The 2-norm of all tensors together."""
    return torch.linalg.vector_norm(
        torch.stack([torch.linalg.vector_norm(t) for t in tensors.values()])
    )
