"""Backpropagation through time: the gradient of the loss with respect to every state and input.

    a_t = dL/ds_t = dl_t/ds_t + J_{t+1}^T a_{t+1}

The recursion runs in reverse time, forms no Jacobian, and carries a log scale so that nothing
underflows.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.resolution import resolved
from gradscope.dynamics.scaled import Adjoints, vector_norms
from gradscope.dynamics.trace import Trace
from gradscope.dynamics.truncation import windows
from gradscope.errors import GradscopeError, NoLossError

#: ln of the range that the adjoints of one segment may span, by dtype; beyond it the segment is
#: halved
_SPAN = {torch.float32: 60.0, torch.float64: 600.0}
#: |ln| of the norms that enter a segment without being rescaled
_TAME = 12.0
#: steps of a segment before any halving
_SEGMENT = 32


def adjoints(
    trace: Trace,
    losses: Float[Tensor, "scored batch"] | None = None,
    *,
    tbptt: tuple[int, int] | None = None,
) -> Adjoints:
    """The total gradient dL/ds_t = dl_t/ds_t + J_{t+1}^T a_{t+1} for every t.

        trace = gradscope.unroll(cell, inputs)
        losses = cell.hidden(trace.states)[-1].square().sum(-1)[None]
        gradscope.adjoints(trace, losses).log_norms()  # ln ||dL/ds_t||, (time + 1, batch), nats

    Args:
        trace: one whose states require grad, or that has an immediate gradient.
        losses: terms made from ``trace.states``, whose sum is the loss; None means
            ``trace.losses``.
        tbptt: (length, stride) of truncated BPTT, to get the adjoint that such a training sees;
            None means the full one.

    Raises:
        NoLossError: if the trace has no losses and none are given.
        GradscopeError: if the losses do not come from ``trace.states``.
    """
    if tbptt is None and losses is None:
        if trace.total is not None:
            return trace.total
        if (given := trace.immediate) is not None:
            return trace.memo("adjoints", lambda: _recursion(trace, given))
    immediate = immediate_adjoints(trace, losses)
    if tbptt is None:
        return _recursion(trace, immediate)
    return _truncated(trace, immediate, *tbptt)


def immediate_adjoints(trace: Trace, losses: Float[Tensor, "scored batch"] | None) -> Adjoints:
    """dl_t/ds_t as ``immediate_gradients``, on the scale on which it was recorded."""
    if losses is None and trace.immediate is not None:
        return trace.immediate
    return Adjoints(immediate_gradients(trace, losses))


def immediate_gradients(
    trace: Trace, losses: Float[Tensor, "scored batch"] | None = None
) -> Float[Tensor, "times batch state"]:
    """dl_t/ds_t, the derivative of each loss that holds all other states fixed.

        gradscope.immediate_gradients(trace, losses)[-1]  # of the last state, (batch, state)

    Args:
        trace: one whose states require grad, or that has an immediate gradient.
        losses: terms made from ``trace.states``, whose sum is the loss; None means
            ``trace.losses``.

    Raises:
        NoLossError: if the trace has no losses and none are given.
        GradscopeError: if the losses do not come from ``trace.states``.
    """
    if losses is None and trace.immediate is not None:
        return trace.immediate.values().to(trace.states.dtype)
    losses = trace.losses if losses is None else losses
    if losses is None:
        raise NoLossError("the trace has no losses; give the losses made from trace.states")
    if not trace.states.requires_grad or not losses.requires_grad:
        raise GradscopeError(
            "the losses are cut off from the states; compute them from trace.states with grad "
            "enabled"
        )
    (gradient,) = torch.autograd.grad(
        losses.sum(), trace.states, retain_graph=True, allow_unused=True
    )
    if gradient is None:
        raise GradscopeError(
            "the losses do not depend on trace.states; compute them from trace.states itself"
        )
    return gradient


def input_gradients(trace: Trace, losses: Float[Tensor, "scored batch"] | None = None) -> Adjoints:
    """dL/dx_t = (ds_t/dx_t)^T a_t for t = 1 .. time: how strongly the loss depends on each input.

        norms = gradscope.input_gradients(trace, losses).log_norms()  # (time, batch), nats

    Args:
        trace: one whose states require grad, or that has an immediate gradient.
        losses: terms made from ``trace.states``, whose sum is the loss; None means
            ``trace.losses``.

    Returns:
        ``Adjoints`` with mantissa ``(time, batch, input)``.

    Raises:
        NoLossError: as ``adjoints``.
        GradscopeError: as ``adjoints``.
    """
    by_input = adjoints(trace, losses).by_input
    assert by_input is not None
    return by_input


def last_loss_alone(trace: Trace) -> tuple[Trace, int] | None:
    """The trace up to the last scored step, with the loss of that step alone; and the step.

    None if no step is scored.

    Raises:
        GradscopeError: as ``immediate_gradients``.
    """
    if trace.immediate is None:
        if trace.losses is None or trace.loss_steps is None:
            return None
        last = int(trace.loss_steps[-1])
        last_loss = trace.losses[-1:] * trace.losses.numel()  # undoes the mean over all losses
        immediate = Adjoints(immediate_gradients(trace, last_loss))
    else:
        immediate = trace.immediate
        scored = immediate.mantissa.ne(0).flatten(1).any(1)
        if not bool(scored.any()):
            return None
        last = int(scored.nonzero().max())
    beginning = trace.steps(0, last)
    last_alone = Adjoints(torch.zeros_like(beginning.states))
    last_alone.mantissa[-1] = immediate.mantissa[last]
    last_alone.log_scale[-1] = immediate.log_scale[last]
    return beginning.with_losses_of(last_alone), last


def _truncated(trace: Trace, immediate: Adjoints, length: int, stride: int) -> Adjoints:
    """The sum of the adjoints of all windows of truncated BPTT."""
    mantissa, scale = immediate.mantissa, immediate.log_scale
    heard = mantissa.ne(0).flatten(1).any(1)
    total = Adjoints(torch.zeros_like(mantissa, dtype=torch.float64))
    for start, stop, scored_from in windows(trace.time, length, stride):
        if not bool(heard[scored_from + 1 : stop + 1].any()):
            continue
        # the losses of the window are those at t = scored_from + 1 .. stop
        scored = mantissa[start : stop + 1].clone()
        scored[: scored_from - start + 1] = 0
        sent = _recursion(trace.steps(start, stop), Adjoints(scored, scale[start : stop + 1]))
        # the state a window starts from is a constant to it, unless it is the initial one
        skip = 1 if start else 0
        rows = slice(start + skip, stop + 1)
        part = Adjoints(sent.mantissa[skip:].double(), sent.log_scale[skip:])
        sums = part + Adjoints(total.mantissa[rows], total.log_scale[rows])
        total.mantissa[rows], total.log_scale[rows] = sums.mantissa, sums.log_scale
    return Adjoints(total.mantissa, total.log_scale)


def _recursion(trace: Trace, immediate: Adjoints) -> Adjoints:
    """The recursion in segments, each rescaled for each sequence to stay within float's range.

    All steps of a segment share one scale. A segment whose adjoints span too wide a range for that
    is done again in halves. Where the numbers are of order 1 nothing is rescaled.
    """
    trace = resolved(trace)
    values = immediate.mantissa.to(
        trace.states.dtype, memory_format=torch.contiguous_format, copy=True
    )
    scale = immediate.log_scale.clone()
    entering = vector_norms(values)  # norms of dl_t/ds_t, but of a_t where a segment begins
    sizes = entering.clone()  # norms of a_t
    by_input, by_input_scale = torch.empty_like(trace.inputs), torch.zeros_like(scale[1:])
    stop, length = trace.time, _SEGMENT
    while stop > 0:
        start = max(0, stop - length)
        rows = slice(start, stop + 1)
        last_value, last_scale = values[stop].clone(), scale[stop].clone()
        _rescale(values[rows], scale[rows], entering[rows])
        segment = trace.linearised(start, stop)
        segment.backpropagate(values[rows], by_input[start:stop])
        by_input_scale[start:stop] = scale[start + 1 : stop + 1]
        sizes[rows] = vector_norms(values[rows])
        if stop - start > 1 and _out_of_range(sizes[rows], values.dtype):
            values[start:stop] = immediate.mantissa[start:stop]
            scale[start:stop] = immediate.log_scale[start:stop]
            values[stop], scale[stop] = last_value, last_scale
            length = (stop - start) // 2
            continue
        entering[start] = sizes[start]
        stop, length = start, _SEGMENT
    return Adjoints(values, scale, Adjoints(by_input, by_input_scale), sizes.log_().add_(scale))


def _rescale(values: Tensor, scale: Tensor, sizes: Tensor) -> None:
    """Bring the rows of a segment, of norms ``sizes``, to the scale of the largest one."""
    logs = torch.where(sizes > 0, scale + sizes.log(), -torch.inf)
    largest = logs.amax(0)
    tame = (largest.abs() < _TAME) | (largest == -torch.inf)
    if not bool(scale.any()) and bool(tame.all()):
        return
    common = torch.where(largest.isfinite(), largest, torch.zeros_like(largest))
    factors = torch.where(sizes > 0, (scale - common).exp(), torch.zeros_like(sizes))[..., None]
    if bool((factors < 1e30).all()):
        values.mul_(factors.to(values.dtype))
    else:  # float32 cannot hold the factor of a number as small as this
        values.copy_(values.double() * factors)
    scale.copy_(common.expand_as(scale))


def _out_of_range(sizes: Tensor, dtype: torch.dtype) -> bool:
    """Whether adjoints of these norms span more than their dtype holds or have underflowed."""
    positive = sizes[sizes > 0]
    if not bool(sizes.isfinite().all()) or not len(positive):
        return len(positive) > 0
    lost = (sizes[:-1] == 0) & (sizes[1:] > 0)
    return bool(lost.any() | (positive.amax().log() - positive.amin().log() > _SPAN[dtype]))
