"""The bias of truncated backpropagation through time, against the full gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.backpropagation import immediate_adjoints
from gradscope.dynamics.lags import (
    ScaledGradient,
    by_lag,
    chosen_parameters,
    full_gradient,
    inner_product,
    joint_norm,
    scaled_gradient,
)
from gradscope.dynamics.trace import Trace
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
