"""A way through a stack of blocks as a trace."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradscope.capture._depth_cell import DepthCell, inputs_of
from gradscope.capture._program import Layer
from gradscope.capture._watch import Received, without_rounding
from gradscope.dynamics import Adjoints, Trace

#: by how much what is run again may depart from what it gave, over its size, in any precision
_ROUNDING = 64 * torch.finfo(torch.float32).eps


@dataclass
class Passage:
    """One way through a stack.

    Attributes:
        layers: what each computed.
        states: before each layer and after the last, tensor by tensor.
        received: where gradients arrive at these.
        blocks: copies of each layer's.
        between: weights that are read between them, by name.
        lowered: whether torch chose lower precision for some operations.
        missing: layers at the beginning that are left out.
    """

    layers: list[Layer]
    states: list[list[Tensor]]
    received: list[list[Received]]
    blocks: list[nn.Module]
    between: dict[str, nn.Parameter]
    lowered: bool
    missing: int


def trace_of(passage: Passage) -> tuple[Trace, list[str]]:
    """The trace, and what the reader should know of it."""
    dtype = torch.float32
    for part in passage.states[0]:
        dtype = torch.promote_types(dtype, part.dtype)
    values = [[tensor.to(dtype) for tensor in state] for state in passage.states]
    cell = DepthCell(passage.layers, values[:-1], passage.blocks, passage.between)
    coarsest = max(torch.finfo(part.dtype).eps for state in passage.states for part in state)
    epsilon = torch.finfo(torch.bfloat16).eps if passage.lowered else coarsest
    cell.stochastic = not _comes_again(cell, values, epsilon)
    if not cell.stochastic:
        cell.find_layout()
    elif values[0][0].dim():
        cell.arrange(cell.layout.of_rows())
    states = torch.stack([cell.layout.rows(state) for state in values])
    inputs = inputs_of(len(passage.layers), states.shape[1], states)
    trace = Trace(cell, inputs, states.requires_grad_())
    notes = _notes(passage, cell)
    parts = passage.received
    if all(part.value is None for received in parts for part in received):
        return trace, notes
    totals = [
        cell.layout.rows(
            [part.or_zero(like).to(dtype) for part, like in zip(received, state, strict=True)]
        )
        for received, state in zip(parts, values, strict=True)
    ]
    known = any(part.value is not None for part in parts[0])
    return _with_immediate(trace, torch.stack(totals), known=known), notes


def _comes_again(cell: DepthCell, values: list[list[Tensor]], epsilon: float) -> bool:
    """Whether every layer, run again, gives what it gave."""
    largest = max(float(part.abs().max()) for state in values for part in state if part.numel())
    # a model in float64 may go through float32 within a block
    allowed = max((1e4 if epsilon < 1e-5 else 16) * epsilon, _ROUNDING) * max(1.0, largest)
    for differentiable in (True, False):
        cell.differentiable = differentiable
        gap = max(_gap(cell, values), _gap(cell, values))  # a block may keep a state
        if gap != gap or gap <= allowed:
            return gap == gap
    return False


@torch.no_grad()
def _gap(cell: DepthCell, values: list[list[Tensor]]) -> float:
    """By how much what is run again departs from what it gave."""
    gaps = [
        (made - part).abs().max()
        for layer, before, after in zip(cell.program, values[:-1], values[1:], strict=True)
        for made, part in zip(layer(before, differentiable=cell.differentiable), after, strict=True)
    ]
    return float(torch.stack(gaps).max())


def _notes(passage: Passage, cell: DepthCell) -> list[str]:
    notes = []
    if cell.stochastic:
        notes.append(
            "its blocks are random (dropout that is drawn otherwise than by torch, or a state that "
            "they keep), so that it has adjoints but no Jacobians; see eval()"
        )
    elif cell.layout.axis < 0 and passage.states[0][0].shape[0] > 1:
        notes.append(
            "the samples of a batch meet in its blocks (as by batch normalisation in train mode), "
            "so that the activation of the whole batch is one state"
        )
    elif cell.layout.streams > 1:
        notes.append(
            f"the batch's axis holds {cell.layout.streams} streams of each of "
            f"{cell.layout.samples} samples: all streams of a sample are one state"
        )
    if len(passage.states[0]) > 1:
        shapes = ", ".join(str(tuple(part.shape)) for part in passage.states[0])
        notes.append(
            f"{len(passage.states[0])} tensors are handed on from layer to layer ({shapes}); side "
            "by side they are the state"
        )
    if passage.missing:
        notes.append(
            "what enters its first layer is not what enters the others, so that depth is looked "
            "along from the second layer on"
        )
    return notes


def _with_immediate(trace: Trace, totals: Tensor, *, known: bool) -> Trace:
    """A trace with the gradients that arrived, and what of them is immediate.

    Args:
        trace: without them.
        totals: dL/dx_l, which is changed in place.
        known: whether that of the first activation is.
    """
    cell, states = trace.cell, trace.states.detach()
    assert isinstance(cell, DepthCell)
    immediate, linear = torch.zeros_like(totals), None
    immediate[-1] = totals[-1]
    by_input = torch.zeros_like(trace.inputs)
    if not cell.stochastic:
        linear = cell.linearise(trace.inputs, states[:-1], states[1:])
        carried, by_input = linear.vjp(totals[1:])
        if not known:
            totals[0] = carried[0]
        immediate[:-1] = without_rounding(totals[:-1] - carried, totals[:-1].abs() + carried.abs())
    return Trace(
        cell,
        trace.inputs,
        trace.states,
        immediate=Adjoints(immediate),
        total=Adjoints(totals, by_input=Adjoints(by_input)),
        linear=linear,
    )
