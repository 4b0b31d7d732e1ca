"""Path contributions: through which part of the state, and which gate, a gradient travels back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.backpropagation import adjoints, immediate_gradients
from gradscope.dynamics.lags import by_lag, chosen_parameters
from gradscope.dynamics.trace import Trace


@dataclass(frozen=True, eq=False)
class PathContributions:
    """A gradient by path.

    Attributes:
        lags: 0 .. the largest asked for.
        log_norms: (from, to) to ln ||G_lag|| of that path alone, ``(lags,)``, nats: from the part
            of s_t that the loss sees to the part of s_k that the weights made, through the block
            J_{t:k}[from, to] of the full product. For an LSTM ("h", "h"), ("h", "c"), ("c", "h"),
            ("c", "c").
        tensors: (from, to) to parameter to ``(lags, *shape)``, where asked for; their sum over
            paths is that of ``lag_contributions``.
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
    """dL/dW split by lag and by the parts of the state in which a path begins and ends.

    A loss read from h alone begins every path in h. What travels in between may pass through any
    part; how it passes each step is what ``gate_contributions`` says.

        paths = gradscope.path_contributions(trace, losses).log_norms
        paths["h", "c"]  # of an LSTM: from the h that the loss sees to the c that the weights made

    Args:
        trace: whose states require grad.
        losses: made from ``trace.states``; None is ``trace.losses``.
        parameter: name or names of the cell's parameters; None is all together.
        lags: the largest lag; None is all.
        tensors: keep the parts themselves.

    Raises:
        GradscopeError: as ``lag_contributions``.
    """
    names = chosen_parameters(trace, parameter)
    last = trace.time - 1 if lags is None else min(lags, trace.time - 1)
    immediate = immediate_gradients(trace, losses)
    log_norms: dict[tuple[str, str], Tensor] = {}
    kept: dict[tuple[str, str], dict[str, Tensor]] = {}
    for begin, place in trace.cell.blocks.items():
        of_block = torch.zeros_like(immediate)
        of_block[..., place] = immediate[..., place]
        for end, target in trace.cell.blocks.items():
            rows: list[Tensor] = []
            parts: dict[str, list[Tensor]] = {name: [] for name in names}
            for scale, gradients in by_lag(trace, of_block, last, target):
                norms = [torch.linalg.vector_norm(gradients[name].double()) for name in names]
                rows.append(torch.linalg.vector_norm(torch.stack(norms)).log() + scale)
                if tensors:
                    for name in names:
                        parts[name].append(gradients[name] * scale.exp().to(gradients[name].dtype))
            log_norms[begin, end] = torch.stack(rows)
            if tensors:
                kept[begin, end] = {name: torch.stack(values) for name, values in parts.items()}
    return PathContributions(list(range(last + 1)), log_norms, kept if tensors else None)


def gate_contributions(
    trace: Trace, losses: Float[Tensor, "scored batch"] | None = None
) -> dict[str, Float[Tensor, "time batch state"]]:
    """J_{t+1}^T a_{t+1} for t = 0 .. time - 1, taken apart by the way it takes through a step.

    Through each gate's recurrent weights, by the gate's name, or ``direct``, from state to state
    past all weights (an LSTM's carousel, a GRU's update gate). The parts add up to the adjoint less
    its immediate part. In the trace's dtype, without a log scale.

    Args:
        trace: whose states require grad.
        losses: made from ``trace.states``; None is ``trace.losses``.

    Raises:
        GradscopeError: as ``adjoints``.
    """
    a = adjoints(trace, losses).values().to(trace.states.dtype)
    return trace.linearisation().vjp_by_gate(a[1:])
