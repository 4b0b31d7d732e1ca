"""The bias of truncated backpropagation through time: its gradient against the full one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.backpropagation import immediate_gradients
from gradscope.dynamics.lags import by_lag, chosen_parameters, gradient, joint_norm
from gradscope.dynamics.trace import Trace
from gradscope.errors import GradscopeError

#: how the state is cut off: every loss reaches back exactly K steps, or every K steps it begins anew
Truncation = Literal["sliding", "chunk"]


@dataclass(frozen=True, eq=False)
class TruncationBias:
    """The truncated gradient against the full one.

    Attributes:
        lengths: TBPTT lengths.
        kind: ``sliding`` (every loss reaches back exactly that many steps) or ``chunk`` (the state
            is cut off every so many).
        norm_ratios: ||G_K|| / ||G||.
        cosines: cosine of G_K and G.
        sign_agreement: share of the elements of G, zeros left out, that have the same sign in G_K.
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
    """What truncated BPTT makes of the gradient, at fixed weights, against the TBPTT length.

    Args:
        trace: whose states require grad.
        losses: made from ``trace.states``; None is ``trace.losses``.
        lengths: TBPTT lengths, at least 1; empty is 1, 2, 4, ... and the whole sequence.
        kind: sliding or chunk; the two give different gradients.
        parameter: name or names of the cell's parameters; None is all.

    Raises:
        GradscopeError: for a length below 1, or as ``lag_contributions``.
    """
    names = chosen_parameters(trace, parameter)
    chosen = sorted(set(lengths) or {*(2**i for i in range(trace.time.bit_length())), trace.time})
    if chosen[0] < 1:
        raise GradscopeError(f"a TBPTT length is at least 1, got {chosen[0]}")
    whole = {
        name: value.double() for name, value in gradient(trace, losses).items() if name in names
    }
    whole_norm = joint_norm(whole)
    ratios, cosines, signs = [], [], []
    for truncated in _truncated(trace, losses, chosen, kind):
        part = {name: truncated[name].double() for name in names}
        norm = joint_norm(part)
        dot = sum(((part[name] * whole[name]).sum() for name in names), start=norm.new_zeros(()))
        same = sum(int(((part[name] * whole[name]) > 0).sum()) for name in names)
        nonzero = sum(int((whole[name] != 0).sum()) for name in names)
        ratios.append(norm / whole_norm)
        cosines.append(dot / (norm * whole_norm))
        signs.append(torch.tensor(same) / torch.tensor(nonzero))
    return TruncationBias(
        chosen, kind, torch.stack(ratios), torch.stack(cosines), torch.stack(signs)
    )


def _truncated(
    trace: Trace, losses: Tensor | None, lengths: Sequence[int], kind: Truncation
) -> Iterator[dict[str, Tensor]]:
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
