"""Lag contributions: the gradient of BPTT split by how far back each of its terms reaches.

dL/dW = sum_lag G_lag        G_lag = sum_t (dl_t/ds_t) J_{t:t-lag} (d+s_{t-lag}/dW)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.backpropagation import adjoints, immediate_adjoints
from gradscope.dynamics.resolution import resolved
from gradscope.dynamics.scaled import Adjoints
from gradscope.dynamics.trace import Trace
from gradscope.errors import GradscopeError


@dataclass(frozen=True, eq=False)
class LagContributions:
    """The parts G_lag of a gradient G, by lag.

    Attributes:
        lags: the lags 0, 1, ... up to the largest asked for.
        log_norms: ln ||G_lag||, nats, over the chosen parameters together; -inf where exactly zero.
        cosines: cosine of G_lag with the full gradient G; NaN where G_lag is zero.
        shares: <G_0 + ... + G_lag, G> / ||G||^2, the cumulative share of the gradient, which is 1
            at the last lag if all lags are there.
        tensors: the G_lag themselves, ``(lags, *shape)`` by parameter; None unless asked for.
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
    """Split dL/dW by lag, exactly.

        parts = gradscope.lag_contributions(trace, losses)
        parts.shares[10]  # the share of dL/dW that the lags up to 10 make up

    Every lag is one vectorised pass over the steps that still carry a term. All T lags cost T^2 / 2
    steps if every step has a loss, and T steps if only one has.

    Args:
        trace: one whose states require grad, or that has an immediate gradient.
        losses: terms made from ``trace.states``, whose sum is the loss; None means
            ``trace.losses``.
        parameter: name or names of the cell's parameters, such as weight_hh; None means all.
        lags: the largest lag; None means all, 0 .. time - 1.
        tensors: whether to keep the G_lag themselves.

    Raises:
        GradscopeError: for an unknown parameter, or as ``immediate_gradients``.
    """
    names = chosen_parameters(trace, parameter)
    full = full_gradient(trace, losses, names)
    full_norm = joint_norm(full.parts)
    by_name: dict[str, list[Tensor]] = {name: [] for name in names}
    log_norms, cosines, dots = [], [], []
    last = trace.time - 1 if lags is None else min(lags, trace.time - 1)
    if last < 0:
        raise GradscopeError(f"lags is the largest lag, at least 0, got {lags}")
    for scale, parts in by_lag(trace, immediate_adjoints(trace, losses), last, names=names):
        part = {name: parts[name].double() for name in names}
        norm, dot = joint_norm(part), inner_product(part, full.parts)
        log_norms.append(norm.log() + scale)
        cosines.append(dot / (norm * full_norm))
        dots.append(dot * (scale - full.log_scale).exp() / full_norm**2)
        for name in names if tensors else ():
            by_name[name].append((part[name] * scale.exp()).to(parts[name].dtype))
    return LagContributions(
        list(range(len(log_norms))),
        torch.stack(log_norms),
        torch.stack(cosines),
        torch.stack(dots).cumsum(0),
        {name: torch.stack(values) for name, values in by_name.items()} if tensors else None,
    )


class ScaledGradient(NamedTuple):
    """A gradient dL/dW, which is ``parts`` times exp(log_scale).

    Attributes:
        parts: by parameter, in float64.
        log_scale: nats.
    """

    parts: dict[str, Tensor]
    log_scale: Float[Tensor, ""]


def gradient(
    trace: Trace,
    losses: Float[Tensor, "scored batch"] | None = None,
    *,
    tbptt: tuple[int, int] | None = None,
) -> dict[str, Tensor]:
    """dL/dW = sum_t a_t^T d+s_t/dW of the cell's parameters by name, from the adjoints a_t.

        gradscope.gradient(trace, losses, tbptt=(10, 10))["weight_hh"]  # cut off every 10 steps

    Args:
        trace: one whose states require grad, or that has an immediate gradient.
        losses: terms made from ``trace.states``, whose sum is the loss; None means
            ``trace.losses``.
        tbptt: (length, stride) of truncated BPTT; None means the full gradient.

    Raises:
        GradscopeError: as ``adjoints``.
    """
    full = scaled_gradient(trace, losses, tbptt=tbptt)
    dtypes = {name: parameter.dtype for name, parameter in trace.cell.named_parameters()}
    return {
        name: (part * full.log_scale.exp()).to(dtypes.get(name, trace.states.dtype))
        for name, part in full.parts.items()
    }


def scaled_gradient(
    trace: Trace,
    losses: Float[Tensor, "scored batch"] | None = None,
    names: Collection[str] | None = None,
    *,
    tbptt: tuple[int, int] | None = None,
) -> ScaledGradient:
    """As ``gradient`` of the parameters named, or of all, whatever its size.

    Raises:
        GradscopeError: as ``adjoints``.
    """
    total = adjoints(trace, losses, tbptt=tbptt)
    a, scale = Adjoints(total.mantissa[1:], total.log_scale[1:]).on_one_scale()
    in_range = resolved(trace)
    parts = in_range.linearisation().by_parameters(a.to(in_range.states.dtype), names)
    return ScaledGradient({name: part.double() for name, part in parts.items()}, scale)


def by_lag(
    trace: Trace,
    immediate: Adjoints,
    last: int,
    block: slice | None = None,
    names: Collection[str] | None = None,
) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """Yield (log scale, G_lag divided by its scale) for lag = 0 .. last.

    b_k^(lag) = J_{k+1}^T b_{k+1}^(lag-1), for all k that still carry a term at once.

    Args:
        trace: the trace.
        immediate: dl_t/ds_t, which is b^(0).
        last: the largest lag.
        block: the part of the state through which alone the weights act; None means all of it.
        names: the parameters wanted; None means all.
    """
    in_range = resolved(trace)
    linear = in_range.linearisation()
    current, scale = immediate.on_one_scale()
    current = current.to(in_range.states.dtype)
    reached = current.flatten(1).ne(0).any(1).nonzero().flatten()
    low, high = (int(reached[0]), int(reached[-1])) if len(reached) else (1, 0)
    current = current[low : high + 1]
    for lag in range(last + 1):
        if low == 0:  # the initial state uses no weight
            low, current = 1, current[1:]
        if low > high:
            yield (
                scale,
                {
                    name: torch.zeros_like(parameter)
                    for name, parameter in trace.cell.named_parameters()
                    if names is None or name in names
                },
            )
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
    """The parameters asked for, checked; all of the cell's for None.

    Raises:
        GradscopeError: for a name that the cell does not have.
    """
    known = [name for name, _ in trace.cell.named_parameters()]
    if parameter is None:
        return known
    chosen = [parameter] if isinstance(parameter, str) else list(parameter)
    for name in chosen:
        if name not in known:
            raise GradscopeError(f"the cell has no parameter {name!r}; known: {', '.join(known)}")
    return chosen


def full_gradient(
    trace: Trace, losses: Float[Tensor, "scored batch"] | None, names: Collection[str]
) -> ScaledGradient:
    """dL/dW of the parameters named, whatever its size."""
    full = scaled_gradient(trace, losses)
    return ScaledGradient({name: full.parts[name] for name in names}, full.log_scale)


def joint_norm(tensors: Mapping[str, Tensor]) -> Float[Tensor, ""]:
    """The 2-norm of all tensors together."""
    norms = [torch.linalg.vector_norm(tensor) for tensor in tensors.values()]
    return torch.linalg.vector_norm(torch.stack(norms))


def inner_product(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> Float[Tensor, ""]:
    """The inner product of all tensors of ``left`` with those of the same name in ``right``."""
    products = [(value * right[name]).sum() for name, value in left.items()]
    return sum(products, start=products[0].new_zeros(()))
