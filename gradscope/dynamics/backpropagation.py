"""Adjoints: the gradient of the loss with respect to every state, with a log scale."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics.scaled import norms
from gradscope.dynamics.trace import Trace
from gradscope.errors import GradscopeError

#: ln of the range that a segment's adjoints may span before it is cut in two, by dtype
_SPAN = {torch.float32: 60.0, torch.float64: 600.0}
#: ln of what may go into a segment as it is
_TAME = 12.0
#: steps of a segment, at first
_SEGMENT = 32


class Adjoints:
    """a_t = dL/ds_t for t = 0..time, as ``mantissa * exp(log_scale)``.

    Shapes: mantissa ``(time + 1, batch, state)``, log_scale ``(time + 1, batch)`` in float64, nats.

    Attributes:
        by_input: dL/dx_t for t = 1..time, the same way, where they are full adjoints.
    """

    def __init__(
        self,
        mantissa: Float[Tensor, "time+1 batch state"],
        log_scale: Float[Tensor, "time+1 batch"],
        by_input: Adjoints | None = None,
        log_norms: Float[Tensor, "time+1 batch"] | None = None,
    ):
        self.mantissa, self.log_scale, self.by_input = mantissa, log_scale, by_input
        self._log_norms = log_norms

    def values(self) -> Float[Tensor, "time+1 batch state"]:
        """The plain tensor, in float64; it may underflow where the scale does not."""
        return self.mantissa.double() * self.log_scale.exp()[..., None]

    def __add__(self, other: Adjoints) -> Adjoints:
        """The sum, on the larger of the two scales at each step of each sequence."""
        joint = torch.maximum(self.log_norms(), other.log_norms())
        joint = torch.where(joint.isfinite(), joint, torch.zeros_like(joint))
        ours, theirs = (
            (part.mantissa * (part.log_scale - joint).exp()[..., None]).to(part.mantissa.dtype)
            for part in (self, other)
        )
        return Adjoints(ours + theirs, joint)

    def log_norms(self, block: slice | None = None) -> Float[Tensor, "time+1 batch"]:
        """ln ||a_t|| of each sequence, or of one block of the state; nats, -inf where exactly zero."""
        if block is not None:
            return self.log_scale + norms(self.mantissa[..., block]).log()
        if self._log_norms is None:
            self._log_norms = self.log_scale + norms(self.mantissa).log()
        return self._log_norms

    def log_norm(self, block: slice | None = None) -> Float[Tensor, " time+1"]:
        """ln ||a_t|| over state and batch together, nats."""
        return 0.5 * torch.logsumexp(2 * self.log_norms(block), dim=-1)


def immediate_gradients(
    trace: Trace, losses: Float[Tensor, "scored batch"] | None = None
) -> Float[Tensor, "t b s"]:
    """dl_t/ds_t, the derivative d+ that holds earlier states fixed: ``(time + 1, batch, state)``.

    Args:
        trace: whose states require grad.
        losses: made from ``trace.states``; None is ``trace.losses``. What counts is their sum.

    Raises:
        GradscopeError: if there are no losses, or they do not come from ``trace.states``.
    """
    if losses is None and trace.immediate is not None:
        return trace.immediate.values().to(trace.states.dtype)
    losses = trace.losses if losses is None else losses
    if losses is None:
        raise GradscopeError("the trace has no losses; give the losses made from trace.states")
    if not trace.states.requires_grad or not losses.requires_grad:
        raise GradscopeError(
            "the losses are cut off from the states; compute them from trace.states with grad"
            " enabled"
        )
    (gradient,) = torch.autograd.grad(
        losses.sum(), trace.states, retain_graph=True, allow_unused=True
    )
    if gradient is None:
        raise GradscopeError(
            "the losses do not depend on trace.states; compute them from trace.states itself"
        )
    return gradient


def linearised(trace: Trace) -> Any:
    """The linearisation of all steps of the trace, made once."""
    states = trace.states.detach()
    return trace.memo(
        "linearised", lambda: trace.cell.linearise(trace.inputs, states[:-1], states[1:])
    )


def input_gradients(trace: Trace, losses: Float[Tensor, "scored batch"] | None = None) -> Adjoints:
    """dL/dx_t = (ds_t/dx_t)^T a_t for t = 1..time, with its log scale: which inputs the loss still
    feels.

    Args:
        trace: whose states require grad.
        losses: made from ``trace.states``; None is ``trace.losses``.

    Returns:
        ``Adjoints`` with mantissa ``(time, batch, input)``.

    Raises:
        GradscopeError: as ``immediate_gradients``.
    """
    found = adjoints(trace, losses).by_input
    assert found is not None
    return found


def last_loss_alone(trace: Trace) -> tuple[Trace, int] | None:
    """The trace up to the last step that is scored, with the gradient of its loss alone, and that
    step.

    None where nothing is scored.

    Raises:
        GradscopeError: as ``immediate_gradients``.
    """
    states = trace.states.detach()
    if trace.immediate is None:
        if trace.losses is None or trace.loss_steps is None:
            return None
        last = int(trace.loss_steps[-1])
        immediate = _plain(immediate_gradients(trace, trace.losses[-1:] * trace.losses.numel()))
    else:
        heard = trace.immediate.mantissa.ne(0).flatten(1).any(1)
        if not bool(heard.any()):
            return None
        last, immediate = int(heard.nonzero().max()), trace.immediate
    mantissa = torch.zeros_like(states[: last + 1])
    scale = torch.zeros(mantissa.shape[:2], dtype=torch.float64, device=states.device)
    mantissa[-1], scale[-1] = immediate.mantissa[last], immediate.log_scale[last]
    alone = Adjoints(mantissa, scale)
    return (
        Trace(
            trace.cell,
            trace.inputs[:last],
            states[: last + 1],
            immediate=alone,
            train_step=trace.train_step,
        ),
        last,
    )


def adjoints(
    trace: Trace,
    losses: Float[Tensor, "scored batch"] | None = None,
    *,
    tbptt: tuple[int, int] | None = None,
) -> Adjoints:
    """The total gradient dL/ds_t = dl_t/ds_t + J_{t+1}^T a_{t+1} for every t, run in reverse time
    without forming J.

    Args:
        trace: whose states require grad.
        losses: made from ``trace.states``; None is ``trace.losses``.
        tbptt: (length, stride): the truncated adjoint, what a training with these reaches; None is
            the full one.

    Raises:
        GradscopeError: as ``immediate_gradients``.
    """
    inputs, states = trace.inputs, trace.states.detach()
    if tbptt is None and losses is None and trace.immediate is not None:
        return trace.memo(
            "adjoints",
            lambda: _reverse(trace, inputs, states, trace.immediate, trace.cache.get("linearised")),
        )
    immediate = immediate_gradients(trace, losses)
    if tbptt is None:
        return _reverse(trace, inputs, states, _plain(immediate))
    total = torch.zeros_like(immediate, dtype=torch.float64)
    scale = torch.full(
        immediate.shape[:2], -torch.inf, dtype=torch.float64, device=immediate.device
    )
    for start, stop, scored_from in windows(trace.time, *tbptt):
        own = immediate[start : stop + 1].clone()
        own[: scored_from - start + 1] = (
            0  # losses of the window are those at t = scored_from + 1 .. stop
        )
        part = _reverse(trace, inputs[start:stop], states[start : stop + 1], _plain(own))
        # the state a window starts from is a constant to it, unless it is the initial one
        skip = 1 if start else 0
        here, mantissa, own_scale = (
            slice(start + skip, stop + 1),
            part.mantissa[skip:].double(),
            part.log_scale[skip:],
        )
        joint = torch.maximum(scale[here], own_scale)
        total[here] = (
            total[here] * (scale[here] - joint).exp()[..., None]
            + mantissa * (own_scale - joint).exp()[..., None]
        )
        scale[here] = joint
    return Adjoints(total, scale)


def windows(time: int, length: int, stride: int) -> list[tuple[int, int, int]]:
    """The stretches of truncated BPTT: (start, stop, scored_from), half-open, in steps.

    Every ``stride`` steps (k1) the losses of the last ``stride`` steps, [scored_from, stop), are
    sent back through the last ``length`` steps (k2), [start, stop). stride = length cuts the
    sequence in chunks, the last one shorter where length does not divide time, as frameworks do it;
    stride = 1 lets every loss reach back exactly ``length`` steps.

    Reference: Williams and Peng (1990), An efficient gradient-based algorithm for on-line training
    of recurrent network trajectories: BPTT(h; h').
    """
    ends = range(stride, time + stride, stride)
    if stride == length:
        return [(end - length, min(end, time), end - stride) for end in ends]
    return [(max(0, min(end, time) - length), min(end, time), end - stride) for end in ends]


def _plain(values: Tensor) -> Adjoints:
    return Adjoints(
        values, torch.zeros(values.shape[:2], dtype=torch.float64, device=values.device)
    )


def _reverse(
    trace: Trace, inputs: Tensor, states: Tensor, immediate: Adjoints, linear: Any = None
) -> Adjoints:
    """The recursion in segments, each rescaled per sequence so that nothing under- or overflows on
    the way.

    Within a segment all steps have one scale. Where the numbers are of order 1 nothing is rescaled.
    """
    steps = inputs.shape[0]
    values, scale = (
        immediate.mantissa.clone(memory_format=torch.contiguous_format),
        immediate.log_scale.clone(),
    )
    given = norms(values)  # of dl_t/ds_t, and of a_t at the step that a segment begins with
    found = given.clone()
    by_input, by_input_scale = torch.empty_like(inputs), torch.zeros_like(scale[1:])
    stop, length = steps, _SEGMENT
    while stop > 0:
        start = max(0, stop - length)
        rows, entering = slice(start, stop + 1), (values[stop].clone(), scale[stop].clone())
        _rescale(values[rows], scale[rows], given[rows])
        segment = None if linear is None else linear.at(slice(start, stop))
        if segment is None or not segment.descend(values[rows], by_input[start:stop]):
            values[rows], by_input[start:stop] = trace.cell.pullback(
                inputs[start:stop], states[rows], values[rows]
            )
        by_input_scale[start:stop] = scale[start + 1 : stop + 1]
        found[rows] = norms(values[rows])
        if stop - start > 1 and _out_of_range(found[rows], values.dtype):
            values[start:stop], scale[start:stop] = (
                immediate.mantissa[start:stop],
                immediate.log_scale[start:stop],
            )
            values[stop], scale[stop] = entering
            length = (stop - start) // 2
            continue
        given[start] = found[start]
        stop, length = start, _SEGMENT
    return Adjoints(values, scale, Adjoints(by_input, by_input_scale), found.log_().add_(scale))


def _rescale(values: Tensor, scale: Tensor, sizes: Tensor) -> None:
    """Bring a segment's rows, of norms ``sizes``, to one scale for each sequence, in place: that of
    the largest.
    """
    logs = torch.where(sizes > 0, scale + sizes.log(), -torch.inf)
    largest = logs.amax(0)
    if not bool(scale.any()) and bool(((largest.abs() < _TAME) | (largest == -torch.inf)).all()):
        return
    common = torch.where(largest.isfinite(), largest, torch.zeros_like(largest))
    factors = torch.where(sizes > 0, (scale - common).exp(), torch.zeros_like(sizes))[..., None]
    if bool((factors < 1e30).all()):
        values.mul_(factors.to(values.dtype))
    else:  # a factor that float32 does not hold, for numbers as small
        values.copy_(values.double() * factors)
    scale.copy_(common.expand_as(scale))


def _out_of_range(sizes: Tensor, dtype: torch.dtype) -> bool:
    """Whether adjoints of these norms span more than their dtype holds well, or came to a zero that
    may be an underflow.
    """
    positive = sizes[sizes > 0]
    if not bool(sizes.isfinite().all()) or not len(positive):
        return len(positive) > 0
    lost = (sizes[:-1] == 0) & (sizes[1:] > 0)
    return bool(lost.any() | (positive.amax().log() - positive.amin().log() > _SPAN[dtype]))
