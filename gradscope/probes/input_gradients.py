"""How much the loss depends on every input."""

from __future__ import annotations

import torch

from gradscope.dynamics import Trace, input_gradients
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns, Rows


@register("input_gradients")
class InputGradients(Probe):
    """ln ||dL/dx_t|| for every t: which inputs the loss depends on, to first order.

    x_t is what the first layer reads: an embedding or one-hot vector if the inputs are symbols.
    Columns: t (1..time), time, log_norm (nats; 2-norm over the input's channels and the batch
    together, -inf where exactly zero).
    """

    cost = "steps"
    order = 25

    def measure(self, trace: Trace) -> Columns:
        """One row for each t."""
        by_sequence = input_gradients(trace).log_norms()
        if trace.mask is not None:
            by_sequence = by_sequence.masked_fill(~trace.mask, -torch.inf)
        log_norms = 0.5 * torch.logsumexp(2 * by_sequence, dim=-1)
        rows = Rows()
        rows.add(t=range(1, trace.time + 1), time=trace.time, log_norm=log_norms.tolist())
        return rows
