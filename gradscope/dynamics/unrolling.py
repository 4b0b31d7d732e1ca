"""unroll: run a cell over its inputs to get a Trace."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.trace import StepFunction, Trace
from gradscope.errors import GradscopeError


def unroll(
    cell: StepFunction,
    inputs: Float[Tensor, "time batch input"],
    state: Float[Tensor, "_ state"] | None = None,
) -> Trace:
    """Run a cell over inputs and keep every state: s_t = F(x_t, s_{t-1}).

        cell = gradscope.convert(torch.nn.LSTMCell(8, 32))
        trace = gradscope.unroll(cell, torch.randn(200, 4, 8))
        gradscope.jacobian_log_norms(trace)  # ln ||ds_t/ds_k|| for every t and k

    The states require grad, so that losses made from them can be sent back with ``adjoints``.

    Args:
        cell: a ``gradscope.cells.Cell``.
        inputs: x_1 ... x_T, in the dtype and on the device of the cell's weights.
        state: s_0; None means the cell's own initial state.

    Raises:
        GradscopeError: for inputs of a wrong shape, without a time step, or that lead to states
            that are not finite; for a cell whose step is not deterministic.
    """
    _check_shapes(cell, inputs, state)
    start = cell.initial_state(inputs.shape[1]) if state is None else state.detach()
    inputs = inputs.detach()
    with torch.no_grad():
        states = cell.scan(inputs, start)
        if not bool(states.sum().isfinite()) and not bool(states.isfinite().all()):
            step = int((~states.isfinite()).flatten(1).any(1).nonzero()[0])
            raise GradscopeError(
                f"the state at t = {step} is not finite: look for NaN or inf in the weights and "
                "inputs, or for states that explode"
            )
        again = cell(inputs[-1], states[-2])
    size = float(states[-1].abs().max().clamp_min(1.0))
    tolerance = size * 1e3 * torch.finfo(states.dtype).eps
    if not torch.allclose(again, states[-1], rtol=0, atol=tolerance):
        raise GradscopeError(
            "the cell's step is not deterministic: the last one, taken again, gave another state; "
            "switch dropout and the like off (cell.eval()) before a trace"
        )
    return Trace(cell, inputs, states.requires_grad_())


def _check_shapes(cell: StepFunction, inputs: Tensor, state: Tensor | None) -> None:
    if inputs.dim() != 3 or inputs.shape[-1] != cell.input_size:
        raise GradscopeError(
            f"inputs should be (time, batch, {cell.input_size}), got {tuple(inputs.shape)}"
        )
    if inputs.shape[0] == 0:
        raise GradscopeError("inputs hold no time step; at least one is needed")
    if inputs.shape[1] == 0:
        raise GradscopeError("inputs hold no sequence; at least one is needed")
    wanted = cell.initial_state(1).dtype
    for name, given in (("inputs", inputs), ("the state", state)):
        if given is not None and given.dtype != wanted:
            raise GradscopeError(
                f"{name} should be in {wanted}, as the cell's weights, got {given.dtype}: convert "
                "either of them, such as with .to() or cell.double()"
            )
    if state is not None and state.shape != (inputs.shape[1], cell.state_size):
        raise GradscopeError(
            f"the state should be ({inputs.shape[1]}, {cell.state_size}), got {tuple(state.shape)}"
        )
