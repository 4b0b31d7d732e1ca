"""The bias of truncated backpropagation through time, against the full gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.backpropagation import adjoints, immediate_adjoints
from gradscope.dynamics.lags import (
    ScaledGradient,
    by_lag,
    chosen_parameters,
    full_gradient,
    inner_product,
    joint_norm,
    scaled_gradient,
)
from gradscope.dynamics.trace import CutSteps, Trace
from gradscope.errors import GradscopeError

#: sliding: every loss reaches back exactly K steps; chunk: the state is cut off every K steps
Truncation = Literal["sliding", "chunk"]


@dataclass(frozen=True, eq=False)
class TruncationBias:
    """The truncated gradient G_K against the full gradient G, for each TBPTT length K.

    Attributes:
        lengths: the TBPTT lengths K.
        kind: ``sliding`` (every loss reaches back exactly K steps) or ``chunk`` (the state is cut
            off every K steps).
        norm_ratios: ||G_K|| / ||G||.
        cosines: cosine of G_K and G.
        sign_agreement: share of the nonzero elements of G that have the same sign in G_K.
    """

    lengths: list[int]
    kind: Truncation
    norm_ratios: Float[Tensor, " lengths"]
    cosines: Float[Tensor, " lengths"]
    sign_agreement: Float[Tensor, " lengths"]


def truncation_bias(
    trace: Trace,
    losses: Float[Tensor, "scored batch"] | None = None,
    lengths: Sequence[int] = (),
    *,
    kind: Truncation = "sliding",
    parameter: str | Sequence[str] | None = None,
) -> TruncationBias:
    """Compare the gradient of truncated BPTT with the full one, at fixed weights, by TBPTT length.

        bias = gradscope.truncation_bias(trace, losses, [5, 10, 20], kind="chunk")
        bias.cosines  # of each truncated gradient with the full one

    Args:
        trace: one whose states require grad, or that has an immediate gradient.
        losses: terms made from ``trace.states``, whose sum is the loss; None means
            ``trace.losses``.
        lengths: TBPTT lengths, at least 1; empty means 1, 2, 4, ... and the whole sequence.
        kind: ``sliding`` or ``chunk``; the two give different gradients.
        parameter: name or names of the cell's parameters; None means all.

    Raises:
        GradscopeError: for a length below 1, or as ``lag_contributions``.
    """
    names = chosen_parameters(trace, parameter)
    chosen = sorted(set(lengths) or {*(2**i for i in range(trace.time.bit_length())), trace.time})
    if chosen[0] < 1:
        raise GradscopeError(f"a TBPTT length is at least 1, got {chosen[0]}")
    full = full_gradient(trace, losses, names)
    full_norm = joint_norm(full.parts)
    nonzero = sum(int((full.parts[name] != 0).sum()) for name in names)
    ratios, cosines, signs = [], [], []
    for truncated in _truncated(trace, losses, chosen, kind, names):
        part, norm = truncated.parts, joint_norm(truncated.parts)
        same = sum(int((part[name].sign() * full.parts[name].sign() > 0).sum()) for name in names)
        ratios.append((norm.log() + truncated.log_scale - full_norm.log() - full.log_scale).exp())
        cosines.append(inner_product(part, full.parts) / (norm * full_norm))
        signs.append(torch.tensor(same / nonzero if nonzero else float("nan")))
    return TruncationBias(
        chosen, kind, torch.stack(ratios), torch.stack(cosines), torch.stack(signs)
    )


@dataclass(frozen=True, eq=False)
class TrainedGradient:
    """The gradient that a training used against the full one, through every step.

    Attributes:
        seen: how many steps the training's own gradient reaches.
        steps: how many there are.
        norm_ratio: ||G_trained|| / ||G||, over the cell's parameters together.
        cosine: of the two.
        sign_agreement: share of the nonzero elements of G that have the same sign.
        adjoint_norm_ratio: likewise of dL/ds_t, over all states together.
        adjoint_cosine: likewise.
    """

    seen: int
    steps: int
    norm_ratio: float
    cosine: float
    sign_agreement: float
    adjoint_norm_ratio: float
    adjoint_cosine: float


def trained_gradient(trace: Trace) -> TrainedGradient | None:
    """What a training's own cuts, by detach() or no_grad, make of the gradient.

        scope.trace("net")  # a loop whose first cycles run under no_grad
        gradscope.trained_gradient(scope.trace("net")).cosine

    Args:
        trace: recorded of a loop, with losses.

    Returns:
        None for a trace that knows of no cuts: there the two are one.

    Raises:
        GradscopeError: as ``adjoints``.
    """
    if not isinstance(trace.cell, CutSteps):
        return None
    own = replace(trace, cell=trace.cell.as_trained(), total=None, linear=None, cache={})
    full, used = scaled_gradient(trace), scaled_gradient(own)
    norm, own_norm = joint_norm(full.parts), joint_norm(used.parts)
    names = [name for name, part in full.parts.items() if name in used.parts and part.numel()]
    nonzero = sum(int((full.parts[name] != 0).sum()) for name in names)
    pairs = [(full.parts[name].sign(), used.parts[name].sign()) for name in names]
    same = sum(int((one * other > 0).sum()) for one, other in pairs)
    a, b = adjoints(trace).values()[1:], adjoints(own).values()[1:]
    return TrainedGradient(
        seen=_seen(own),
        steps=trace.time,
        norm_ratio=float((own_norm.log() + used.log_scale - norm.log() - full.log_scale).exp()),
        cosine=float(inner_product(used.parts, full.parts) / (norm * own_norm)),
        sign_agreement=same / nonzero if nonzero else float("nan"),
        adjoint_norm_ratio=float(b.norm() / a.norm()),
        adjoint_cosine=float((a * b).sum() / (a.norm() * b.norm())),
    )


def _seen(trace: Trace) -> int:
    """At how many steps a parameter hears anything."""
    linear, arriving = trace.linearisation(), adjoints(trace).mantissa[1:].to(trace.states.dtype)
    heard = (
        linear.at(slice(t, t + 1)).by_parameters(arriving[t : t + 1]) for t in range(trace.time)
    )
    return sum(any(bool(part.any()) for part in parts.values()) for parts in heard)


def _truncated(
    trace: Trace, losses: Tensor | None, lengths: Sequence[int], kind: Truncation, names: list[str]
) -> Iterator[ScaledGradient]:
    """The truncated gradient of each length, in ascending order of the lengths."""
    if kind == "chunk":
        for length in lengths:
            yield scaled_gradient(trace, losses, names, tbptt=(length, length))
        return
    wanted = [min(length, trace.time) for length in lengths]
    total: ScaledGradient | None = None
    immediate = immediate_adjoints(trace, losses)
    for lag, (scale, values) in enumerate(by_lag(trace, immediate, max(wanted) - 1, names=names)):
        part = ScaledGradient({name: values[name].double() for name in names}, scale)
        total = part if total is None else _sum(total, part)
        for _ in range(wanted.count(lag + 1)):
            yield total


def _sum(left: ScaledGradient, right: ScaledGradient) -> ScaledGradient:
    """On the larger scale of the two."""
    scale = torch.maximum(left.log_scale, right.log_scale)
    left_factor, right_factor = ((term.log_scale - scale).exp() for term in (left, right))
    parts = {
        name: left_factor * part + right_factor * right.parts[name]
        for name, part in left.parts.items()
    }
    return ScaledGradient(parts, scale)
