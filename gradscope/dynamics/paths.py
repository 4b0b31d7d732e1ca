"""Path contributions: through which parts of the state, and which gates, a gradient travels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.backpropagation import adjoints, immediate_adjoints
from gradscope.dynamics.lags import by_lag, chosen_parameters
from gradscope.dynamics.resolution import resolved
from gradscope.dynamics.scaled import Adjoints
from gradscope.dynamics.trace import Trace


@dataclass(frozen=True, eq=False)
class PathContributions:
    """A gradient split by lag and by path.

    A path (from, to) begins in the part of s_t that the loss sees and ends in the part of s_k that
    the weights made; it goes through the block J_{t:k}[from, to] of the full product. The paths of
    an LSTM are ("h", "h"), ("h", "c"), ("c", "h") and ("c", "c").

    Attributes:
        lags: the lags 0, 1, ... up to the largest asked for.
        log_norms: ln ||G_lag|| of each path alone, ``(lags,)``, nats.
        tensors: the G_lag of each path by parameter, ``(lags, *shape)``, which add up over the
            paths to those of ``lag_contributions``; None unless asked for.
    """

    lags: list[int]
    log_norms: dict[tuple[str, str], Float[Tensor, " lags"]]
    tensors: dict[tuple[str, str], dict[str, Tensor]] | None = None


def path_contributions(
    trace: Trace,
    losses: Float[Tensor, "scored batch"] | None = None,
    *,
    parameter: str | Sequence[str] | None = None,
    lags: int | None = None,
    tensors: bool = False,
) -> PathContributions:
    """Split dL/dW by lag and by the parts of the state in which a path begins and ends.

    A loss that is read from h alone begins every path in h. Between its ends a path may pass
    through any part; ``gate_contributions`` says how it passes each step.

        paths = gradscope.path_contributions(trace, losses).log_norms
        paths["h", "c"]  # of an LSTM: from the h that the loss sees to the c that the weights made

    Args:
        trace: one whose states require grad, or that has an immediate gradient.
        losses: terms made from ``trace.states``, whose sum is the loss; None means
            ``trace.losses``.
        parameter: name or names of the cell's parameters; None means all.
        lags: the largest lag; None means all.
        tensors: whether to keep the G_lag of each path.

    Raises:
        GradscopeError: as ``lag_contributions``.
    """
    names = chosen_parameters(trace, parameter)
    last = trace.time - 1 if lags is None else min(lags, trace.time - 1)
    immediate = immediate_adjoints(trace, losses)
    log_norms: dict[tuple[str, str], Tensor] = {}
    by_path: dict[tuple[str, str], dict[str, Tensor]] = {}
    for begin, place in trace.cell.blocks.items():
        seen = torch.zeros_like(immediate.mantissa)
        seen[..., place] = immediate.mantissa[..., place]
        of_block = Adjoints(seen, immediate.log_scale)
        for end, target in trace.cell.blocks.items():
            rows: list[Tensor] = []
            parts: dict[str, list[Tensor]] = {name: [] for name in names}
            for scale, gradients in by_lag(trace, of_block, last, target):
                norms = [torch.linalg.vector_norm(gradients[name].double()) for name in names]
                rows.append(torch.linalg.vector_norm(torch.stack(norms)).log() + scale)
                if tensors:
                    for name in names:
                        plain = gradients[name].double() * scale.exp()
                        parts[name].append(plain.to(gradients[name].dtype))
            log_norms[begin, end] = torch.stack(rows)
            if tensors:
                by_path[begin, end] = {name: torch.stack(values) for name, values in parts.items()}
    return PathContributions(list(range(last + 1)), log_norms, by_path if tensors else None)


def gate_contributions(
    trace: Trace, losses: Float[Tensor, "scored batch"] | None = None
) -> dict[str, Adjoints]:
    """Split J_{t+1}^T a_{t+1} for t = 0 .. time - 1 by the way it takes through a step.

    A part is named after the gate whose recurrent weights it passes, or ``direct`` if it passes no
    weights, as along an LSTM's carousel or a GRU's update gate. The parts add up to the adjoint
    less its immediate part.

        parts = gradscope.gate_contributions(trace, losses)
        parts["direct"].log_norms()  # ln ||.|| of what passes no weights, (time, batch), nats

    Args:
        trace: one whose states require grad, or that has an immediate gradient.
        losses: terms made from ``trace.states``, whose sum is the loss; None means
            ``trace.losses``.

    Raises:
        GradscopeError: as ``adjoints``.
    """
    a = adjoints(trace, losses)
    in_range = resolved(trace)
    parts = in_range.linearisation().vjp_by_gate(a.mantissa[1:].to(in_range.states.dtype))
    return {name: Adjoints(part, a.log_scale[1:]) for name, part in parts.items()}
