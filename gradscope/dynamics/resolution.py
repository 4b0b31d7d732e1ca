"""Resolution: float64 in place of float32 where saturated slopes are smaller than float32 holds."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import torch
from torch import nn

from gradscope.dynamics.trace import Trace

#: |u| up to which no slope of tanh, 4 e^(-2 |u|), leaves the range of float32, with some to spare
_HELD = 40.0


def resolved(trace: Trace) -> Trace:
    """The trace in float64 if units are so saturated that slopes would vanish in float32.

    tanh' is e^-98.6 at u = 50, which float32 rounds to zero: a product of such steps would be said
    to be exactly zero, and is not. float64 holds slopes down to e^-708. All other traces are
    returned as they are. What is returned has no losses.

    Args:
        trace: one of a cell that names its gates; others are returned as they are.
    """
    return trace.memo("resolved", lambda: _in_double(trace) if _is_beyond(trace) else trace)


def _is_beyond(trace: Trace) -> bool:
    """Whether a saturating unit is farther out than float32 has slopes for."""
    if trace.states.dtype != torch.float32 or not isinstance(trace.cell, nn.Module):
        return False
    if _bound(trace) <= _HELD:
        return False
    gates = [gate for gate in trace.gates().values() if gate.activation.saturates]
    if not gates:
        return False
    # what a cell squashes besides its gates are its states
    sizes = [gate.preactivation.abs().amax() for gate in gates if gate.preactivation.numel()]
    return max(map(float, [*sizes, trace.states.detach().abs().amax()])) > _HELD


def _bound(trace: Trace) -> float:
    """A bound of |u| from the sizes of weights, inputs and states, without computing u.

    Vectors may scale what is normalised, which is as large as the root of its length.
    """
    parameters = [parameter.detach().abs() for _, parameter in trace.cell.named_parameters()]
    if not parameters or not trace.time or not trace.batch:
        return 0.0
    largest = [t.detach().abs().amax() for t in (trace.states, trace.inputs) if t.numel()]
    size = max(1.0, *map(float, largest))
    total = 0.0
    for weights in parameters:
        if weights.dim() > 1:
            total += float(weights.sum(-1).amax()) * size
        elif weights.numel():
            total += float(weights.amax()) * max(size, math.sqrt(trace.cell.hidden_size))
    return total


def _in_double(trace: Trace) -> Trace:
    """The same states and inputs, with a copy of the cell, in float64."""
    assert isinstance(trace.cell, nn.Module)
    return replace(
        trace,
        cell=copy.deepcopy(trace.cell).double(),
        inputs=trace.inputs.double(),
        states=trace.states.detach().double(),
        losses=None,
        loss_steps=None,
        immediate=None,
        total=None,
        linear=None,
        cache={},
    )
