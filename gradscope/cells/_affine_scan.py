"""A fused unroll for cells with affine gates, with backpropagation through time written out.

The backward pass does a few operations for each step, and computes the gradients of the weights by
matrix products over many steps.
"""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from gradscope.cells._affine_equation import AffineEquation, onto_vectors
from gradscope.cells._gated import affine
from gradscope.cells._products import add_outer


def scan(cell: AffineEquation, inputs: Tensor, state: Tensor) -> Tensor:
    """All states s_0 ... s_T."""
    states = _States.apply(cell, inputs, state, *_parameters(cell))
    assert isinstance(states, Tensor)
    return states


def outputs(cell: AffineEquation, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """(h_1 ... h_T, s_T)."""
    hidden, last = _Outputs.apply(cell, inputs, state, *_parameters(cell))
    return hidden, last


def _parameters(cell: AffineEquation) -> tuple[Tensor | None, ...]:
    vectors = [getattr(cell, name) for name in cell.vectors]
    return cell.weight_ih, cell.recurrent_weight(), cell.bias_ih, cell.bias_hh, *vectors


class _Context(Protocol):
    """What autograd keeps between the two passes."""

    cell: AffineEquation
    saved_tensors: tuple[Tensor, ...]
    needs_input_grad: tuple[bool, ...]

    def save_for_backward(self, *tensors: Tensor) -> None: ...


class _States(torch.autograd.Function):
    """From a cell and its inputs to all states."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        cell: AffineEquation,
        inputs: Tensor,
        state: Tensor,
        *parameters: Tensor | None,
    ) -> Tensor:
        return _forward(ctx, cell, inputs, state, parameters)

    @staticmethod
    @torch.autograd.function.once_differentiable
    # the decorator hides the name of ctx
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: FunctionCtx, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        (by_states,) = gradients
        return _backward(ctx, by_states.clone(memory_format=torch.contiguous_format))


class _Outputs(torch.autograd.Function):
    """From a cell and its inputs to h_1 ... h_T and s_T."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        cell: AffineEquation,
        inputs: Tensor,
        state: Tensor,
        *parameters: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        states = _forward(ctx, cell, inputs, state, parameters)
        return cell.hidden(states[1:]), states[-1].clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    # the decorator hides the name of ctx
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: FunctionCtx, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        by_hidden, by_last = gradients
        steps, *batch, size = by_hidden.shape
        immediate = by_hidden.new_empty(steps + 1, *batch, by_last.shape[-1])
        immediate[0] = 0
        immediate[1:, ..., :size] = by_hidden
        immediate[1:, ..., size:] = 0
        immediate[-1] += by_last
        return _backward(ctx, immediate)


def _forward(
    ctx: FunctionCtx,
    cell: AffineEquation,
    inputs: Tensor,
    state: Tensor,
    parameters: tuple[Tensor | None, ...],
) -> Tensor:
    weight_ih, weight_hh = parameters[:2]
    assert weight_ih is not None
    assert weight_hh is not None
    states, kept = cell.scan_keeping(inputs, state, weight_hh)
    context = cast(_Context, ctx)
    context.cell = cell
    context.save_for_backward(inputs, states, weight_ih, weight_hh, *kept)
    return states


def _backward(ctx: FunctionCtx, adjoints: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients of all arguments, from dl_t/ds_t in a buffer that becomes the adjoints."""
    context = cast(_Context, ctx)
    cell = context.cell
    inputs, states, weight_ih, weight_hh, *kept = context.saved_tensors
    by_inputs: list[Tensor] = []
    by_ih, by_hh = torch.zeros_like(weight_ih), torch.zeros_like(weight_hh)
    by_bias_ih, by_bias_hh = (weight_hh.new_zeros(weight_hh.shape[:-1]) for _ in range(2))
    by_vectors = weight_hh.new_zeros(*weight_hh.shape[:-2], len(cell.vectors), weight_hh.shape[-1])
    for part in cell.cached_steps(*inputs.shape[:-1]):
        later = slice(part.start + 1, part.stop + 1)
        here = tuple(tensor[part] for tensor in kept)
        d_h, d_x = cell.backpropagate_kept(
            here,
            states[part],
            states[later],
            adjoints[part.start : part.stop + 1],
            weight_hh,
        )
        if context.needs_input_grad[1]:
            by_inputs.append(affine(d_x, weight_ih.mT))
        if cell.vectors:
            by_vectors = by_vectors + onto_vectors(
                adjoints[later], cell.by_vectors(here[0], None, states[part], states[later])
            )
        add_outer(by_ih, d_x, inputs[part])
        add_outer(by_hh, d_h, cell.hidden(states[part]))
        by_bias_hh += d_h.sum((0, -2))
        if not cell.additive:
            by_bias_ih += d_x.sum((0, -2))
    by_bias_ih = by_bias_hh if cell.additive else by_bias_ih
    return (
        None,
        torch.cat(by_inputs[::-1]) if by_inputs else None,
        adjoints[0],
        by_ih,
        by_hh,
        None if cell.bias_ih is None else by_bias_ih,
        None if cell.bias_hh is None else by_bias_hh,
        *by_vectors.unbind(-2),
    )
