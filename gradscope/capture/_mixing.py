"""The matrices with which hyper-connections mix residual streams from layer to layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gradscope.capture._depth_cell import DepthCell
from gradscope.capture._nests import mapped
from gradscope.capture._watch import Args, Kwargs
from gradscope.dynamics import Trace
from gradscope.errors import GradscopeError

#: how far a skip path may be from one matrix for all channels
_ROUNDING = 1e-3


def stream_mixing(
    trace: Trace, *, axis: int | None = None
) -> Float[Tensor, "layer batch token stream stream"]:
    """A_l of every layer of hyper-connections: x_l = A_l x_{l-1} + what the layer's block writes.

    The derivative of the layer with what its block gives, and coefficients that it makes of the
    streams, held as they are; it is found channel by channel to be one matrix for all, or refused.
    A module with a ``branch`` (as of the package hyper-connections) has that as its block.

        mixing = gradscope.stream_mixing(scope.trace("layers.depth"))
        gradscope.composite_gain(mixing).log_column_gain[0]  # of the product of all layers

    Args:
        trace: of a stack with several residual streams (``attach(depth=...)``).
        axis: of one sample's activation along which the streams lie; None where they lie along the
            batch's axis, or in tensors of their own, which is known. Channels are the last axis.

    Returns:
        Axes (..., to, from).

    Raises:
        GradscopeError: for a trace that is not of depth, an axis that is needed, or a skip path
            that is no mixing of streams.
    """
    cell = trace.cell
    if not isinstance(cell, DepthCell) or cell.stochastic:
        raise GradscopeError(
            "stream_mixing takes a trace of depth, attach(depth=...), of blocks that are not random"
        )
    shape = _shape(cell, axis)
    place = 0 if axis is None else axis % len(shape)
    found = []
    with _held(cell, shape):
        for layer in range(trace.time):
            found.append(_mixing(trace, layer, shape, place))
    return torch.stack(found)


def _shape(cell: DepthCell, axis: int | None) -> tuple[int, ...]:
    """Of one sample's activation, streams along an axis."""
    layout, shape = cell.layout, cell.state_shape
    if len(layout.shapes) > 1 and axis is None:
        alike = [size for index, size in enumerate(layout.shapes[0]) if index != layout.axis]
        if len(set(layout.shapes)) > 1:
            raise GradscopeError("the tensors of the state are not streams of one shape")
        return (len(layout.shapes), *alike)
    if axis is None and layout.streams == 1:
        raise GradscopeError(
            f"along which axis of one sample's activation, {shape}, do the streams lie? Say axis="
        )
    if axis is not None and not -len(shape) <= axis < len(shape):
        raise GradscopeError(f"axis {axis} is none of an activation of shape {shape}")
    if len(shape) < 2 or (axis is not None and axis % len(shape) == len(shape) - 1):
        raise GradscopeError(f"an activation of shape {shape} has no channels beside its streams")
    return shape


def _mixing(
    trace: Trace, layer: int, shape: tuple[int, ...], axis: int
) -> Float[Tensor, "batch token stream stream"]:
    step, state = trace.inputs[layer], trace.states.detach()[layer].requires_grad_()
    with torch.enable_grad():
        after = trace.cell(step, state)
    streams, channels = shape[axis], shape[-1]
    generator = torch.Generator().manual_seed(layer)
    signs = (2 * torch.randint(2, (channels,), generator=generator) - 1).to(state)
    rows = []
    for stream in range(streams):
        cotangent = torch.zeros(trace.batch, *shape).to(state)
        cotangent.select(axis + 1, stream).copy_(signs.expand_as(cotangent.select(axis + 1, 0)))
        arrived = _pulled(after, state, cotangent.flatten(1))
        apart = arrived.reshape(trace.batch, *shape).movedim(axis + 1, 1)
        apart = apart.reshape(trace.batch, streams, -1, channels) * signs
        row = apart.mean(-1)
        off = (apart - row[..., None]).abs().max()
        if float(off) > _ROUNDING * max(1.0, float(row.abs().max())):
            raise GradscopeError(
                f"the skip path of layer {layer + 1} is no mixing of whole streams: it treats "
                f"channels differently (by {float(off):.2g})"
            )
        rows.append(row)
    return torch.stack(rows, dim=1).movedim(3, 1)


def _pulled(after: Tensor, state: Tensor, cotangent: Tensor) -> Tensor:
    if not after.requires_grad:
        return torch.zeros_like(state)
    (found,) = torch.autograd.grad(
        after, state, cotangent, retain_graph=True, materialize_grads=True
    )
    return found


@contextmanager
def _held(cell: DepthCell, shape: tuple[int, ...]) -> Iterator[None]:
    """What blocks give, and what has no channels, is a constant."""
    with ExitStack() as stack:
        for block in {block for layer in cell.layers for block in _blocks(layer)}:
            stack.callback(block.register_forward_hook(_constant).remove)
        stack.enter_context(_Coefficients(shape[-1]))
        yield


def _blocks(layer: nn.Module) -> Iterator[nn.Module]:
    if isinstance(layer, nn.ModuleList):
        for part in layer:
            yield from _blocks(part)
        return
    branch = getattr(layer, "branch", None)
    yield branch if isinstance(branch, nn.Module) else layer


def _constant(block: nn.Module, args: object, output: object) -> object:
    return mapped(output, lambda part: part.detach() if isinstance(part, Tensor) else part)


class _Coefficients(TorchFunctionMode):
    """Holds what has no axis of channels: coefficients, dynamic ones among them."""

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Iterable[type],
        args: Args = (),
        kwargs: Kwargs | None = None,
    ) -> object:
        """Called in the place of a function of torch's."""
        made = func(*args, **(kwargs or {}))
        if not isinstance(made, Tensor) or not made.requires_grad or made.is_leaf:
            return made
        carries = any(size and size % self.channels == 0 for size in made.shape)
        return made if carries else made.detach()
