"""The bias of truncated backpropagation through time, against the full gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.backpropagation import immediate_gradients
from gradscope.dynamics.lags import (
    by_lag,
    chosen_parameters,
    full_gradient,
    gradient,
    inner_product,
    joint_norm,
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
    full_norm = joint_norm(full)
    ratios, cosines, signs = [], [], []
    for truncated in _truncated(trace, losses, chosen, kind):
        part = {name: truncated[name].double() for name in names}
        norm = joint_norm(part)
        same = sum(int(((part[name] * full[name]) > 0).sum()) for name in names)
        nonzero = sum(int((full[name] != 0).sum()) for name in names)
        ratios.append(norm / full_norm)
        cosines.append(inner_product(part, full) / (norm * full_norm))
        signs.append(torch.tensor(same) / torch.tensor(nonzero))
    return TruncationBias(
        chosen, kind, torch.stack(ratios), torch.stack(cosines), torch.stack(signs)
    )


def _truncated(
    trace: Trace, losses: Tensor | None, lengths: Sequence[int], kind: Truncation
) -> Iterator[dict[str, Tensor]]:
    """The truncated gradient of each length, in ascending order of the lengths."""
    if kind == "chunk":
        for length in lengths:
            yield gradient(trace, losses, tbptt=(length, length))
        return
    total: dict[str, Tensor] = {}
    wanted = [min(length, trace.time) for length in lengths]
    for lag, (scale, parts) in enumerate(
        by_lag(trace, immediate_gradients(trace, losses), max(wanted) - 1)
    ):
        for name, value in parts.items():
            scaled = value * scale.exp().to(value.dtype)
            total[name] = total[name] + scaled if name in total else scaled
        for _ in range(wanted.count(lag + 1)):
            yield dict(total)
