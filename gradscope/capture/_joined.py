"""Traces of calls that hand their state on, as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gradscope.capture._ancestry import Way
from gradscope.capture._watch import without_rounding
from gradscope.capture._whole_step import applied_back, with_ways
from gradscope.cells import Cell
from gradscope.dynamics import Adjoints, Trace, adjoints


def joined(traces: Sequence[Trace], ways: Sequence[Way]) -> Trace:
    """One trace of a chain of calls.

    What arrives at the state between two calls is in part what the later call sends back; only the
    rest is immediate.

    Args:
        traces: of the calls.
        ways: from the state that each made to what came into the next.
    """
    if len(traces) == 1:
        return traces[0]
    first = traces[0]
    later = (trace.states.detach()[1:] for trace in traces[1:])
    made = torch.cat([first.states.detach(), *later])
    came = torch.cat([trace.states.detach()[:-1] for trace in traces])
    within = [[None] * (trace.time - 1) for trace in traces[1:]]
    of_steps = [None] * first.time
    for way, rest in zip(ways, within, strict=True):
        of_steps += [way, *rest]
    assert isinstance(first.cell, Cell)
    inputs = torch.cat([trace.inputs for trace in traces])
    cell, inputs, states = with_ways(first.cell, inputs, made, came, of_steps)
    whole = Trace(cell, inputs, states.requires_grad_())
    if all(trace.immediate is None for trace in traces):
        return whole
    parts = [
        _without_sent_back(trace, after, way)
        for trace, after, way in zip(traces, [*traces[1:], None], [*ways, None], strict=True)
    ]
    mantissas = [part.mantissa[1 if index else 0 :] for index, part in enumerate(parts)]
    scales = [part.log_scale[1 if index else 0 :] for index, part in enumerate(parts)]
    few = slice(whole.batch)
    return whole.with_losses_of(Adjoints(torch.cat(mantissas)[:, few], torch.cat(scales)[:, few]))


def _without_sent_back(trace: Trace, after: Trace | None, way: Way | None) -> Adjoints:
    """A call's immediate gradient, less what the next one sends back to the state between them."""
    immediate = _heard(trace)
    if after is None or way is None:
        return immediate
    sent = adjoints(after if after.immediate is not None else after.with_losses_of(_heard(after)))
    carried = _along(sent, way, immediate.mantissa.dtype)
    kept = slice(carried.mantissa.shape[1])
    last = Adjoints(immediate.mantissa[-1:, kept], immediate.log_scale[-1:, kept])
    rest = last + Adjoints(-carried.mantissa, carried.log_scale)
    size = last.mantissa * (last.log_scale - rest.log_scale).exp()[..., None].to(rest.mantissa)
    left = without_rounding(rest.mantissa, size)
    return Adjoints(
        torch.cat((immediate.mantissa[:-1, kept], left)),
        torch.cat((immediate.log_scale[:-1, kept], rest.log_scale)),
    )


def _along(sent: Adjoints, way: Way, dtype: torch.dtype) -> Adjoints:
    """What a call sends back to its first state and input, at the state that was made before it."""
    mantissa, scale = sent.mantissa[:1].to(dtype), sent.log_scale[:1]
    if way.state is not None:
        kept = slice(len(way.state))
        mantissa, scale = applied_back(way.state[None].to(dtype), mantissa[:, kept]), scale[:, kept]
    carried = Adjoints(mantissa, scale)
    if way.by_input is None or sent.by_input is None:
        return carried
    kept = slice(min(len(way.by_input), mantissa.shape[1]))
    fed = applied_back(
        way.by_input[None, kept].to(dtype), sent.by_input.mantissa[:1, kept].to(dtype)
    )
    carried = Adjoints(carried.mantissa[:, kept], carried.log_scale[:, kept])
    return carried + Adjoints(fed, sent.by_input.log_scale[:1, kept])


def _heard(trace: Trace) -> Adjoints:
    """The immediate gradient; zero of a call that no loss hears."""
    if trace.immediate is not None:
        return trace.immediate
    return Adjoints(torch.zeros_like(trace.states.detach()))
