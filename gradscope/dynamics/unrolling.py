"""unroll: from a cell and its inputs to a Trace."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.trace import Trace
from gradscope.errors import GradscopeError


def unroll(
    cell: Any,
    inputs: Float[Tensor, "time batch input"],
    state: Float[Tensor, "batch state"] | None = None,
) -> Trace:
    """Run a cell over inputs and keep every state: s_t = F(x_t, s_{t-1}).

    The states require grad, so that losses made from them can be sent back with ``adjoints``.

    Args:
        cell: a ``gradscope.Cell``.
        inputs: x_1 ... x_T, in the dtype and on the device of the cell's weights.
        state: s_0; None is zero.

    Raises:
        GradscopeError: for inputs of another shape, without a step, or that lead to states that are
            not finite; for a cell whose step gives another state when it is taken again.
    """
    if inputs.dim() != 3 or inputs.shape[-1] != cell.input_size:
        raise GradscopeError(
            f"inputs should be (time, batch, {cell.input_size}), got {tuple(inputs.shape)}"
        )
    if inputs.shape[0] == 0:
        raise GradscopeError("inputs hold no time step; at least one is needed")
    if state is None:
        state = cell.initial_state(inputs.shape[1])
    assert state is not None
    if state.shape != (inputs.shape[1], cell.state_size):
        raise GradscopeError(
            f"the state should be ({inputs.shape[1]}, {cell.state_size}), got {tuple(state.shape)}"
        )
    with torch.no_grad():
        states = cell.scan(inputs.detach(), state.detach())
    if not bool(states.sum().isfinite()) and not bool(states.isfinite().all()):
        step = int((~states.isfinite()).flatten(1).any(1).nonzero()[0])
        raise GradscopeError(
            f"the state at t = {step} is not finite: look for NaN or inf in the weights and inputs,"
            " or for states that explode"
        )
    with torch.no_grad():
        again = cell(inputs[-1].detach(), states[-2])
    size = states[-1].abs().max().clamp_min(1.0)
    if not torch.allclose(
        again, states[-1], rtol=0, atol=float(size) * 1e3 * torch.finfo(states.dtype).eps
    ):
        raise GradscopeError(
            "the cell's step is not deterministic: the last one, taken again, gave another state;"
            " switch dropout and the like off (cell.eval()) before a trace"
        )
    return Trace(cell, inputs.detach(), states.requires_grad_())
