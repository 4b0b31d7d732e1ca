"""Traces of calls that hand their state on, as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gradscope.capture._watch import without_rounding
from gradscope.dynamics import Adjoints, Trace, adjoints


def joined(traces: Sequence[Trace]) -> Trace:
    """One trace of a chain of calls.

    What arrives at the state between two calls is in part what the later call sends back; only the
    rest is immediate.
    """
    if len(traces) == 1:
        return traces[0]
    first = traces[0]
    later = (trace.states.detach()[1:] for trace in traces[1:])
    states = torch.cat([first.states.detach(), *later]).requires_grad_()
    whole = Trace(first.cell, torch.cat([trace.inputs for trace in traces]), states)
    if all(trace.immediate is None for trace in traces):
        return whole
    parts = [
        _without_sent_back(trace, after)
        for trace, after in zip(traces, [*traces[1:], None], strict=True)
    ]
    mantissas = [part.mantissa[1 if index else 0 :] for index, part in enumerate(parts)]
    scales = [part.log_scale[1 if index else 0 :] for index, part in enumerate(parts)]
    return whole.with_losses_of(Adjoints(torch.cat(mantissas), torch.cat(scales)))


def _without_sent_back(trace: Trace, after: Trace | None) -> Adjoints:
    """A call's immediate gradient, less what the next one sends back to the state between them."""
    immediate = _heard(trace)
    if after is None:
        return immediate
    sent = adjoints(after if after.immediate is not None else after.with_losses_of(_heard(after)))
    dtype = immediate.mantissa.dtype
    carried = Adjoints(-sent.mantissa[:1].to(dtype), sent.log_scale[:1])
    last = Adjoints(immediate.mantissa[-1:], immediate.log_scale[-1:])
    rest = last + carried
    size = last.mantissa * (last.log_scale - rest.log_scale).exp()[..., None].to(dtype)
    kept = without_rounding(rest.mantissa, size)
    return Adjoints(
        torch.cat((immediate.mantissa[:-1], kept)),
        torch.cat((immediate.log_scale[:-1], rest.log_scale)),
    )


def _heard(trace: Trace) -> Adjoints:
    """The immediate gradient; zero of a call that no loss hears."""
    if trace.immediate is not None:
        return trace.immediate
    return Adjoints(torch.zeros_like(trace.states.detach()))
