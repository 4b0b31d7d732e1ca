"""What the loss still feels of every input."""

from __future__ import annotations

import torch

from gradscope.components.registry import register
from gradscope.dynamics import input_gradients
from gradscope.dynamics.trace import Trace
from gradscope.probes._probe import Columns, Probe


@register("probe", "input_gradients")
class InputGradients(Probe):
    """ln ||dL/dx_t|| for every t: which inputs the loss depends on, to first order.

    Columns: t (1..time), time, log_norm (nats; 2-norm over the input's channels and the batch
    together, -inf where exactly zero). x_t is what the first layer reads, an embedding or one-hot
    vector where inputs are symbols.
    """

    def measure(self, trace: Trace) -> Columns:
        """One row for each t."""
        logs = input_gradients(trace).log_norms()
        if (running := trace.running()) is not None:
            logs = logs.masked_fill(~running[:-1], -torch.inf)
        log_norm = 0.5 * torch.logsumexp(2 * logs, dim=-1)
        return {
            "t": list(range(1, trace.time + 1)),
            "time": [trace.time] * trace.time,
            "log_norm": log_norm.tolist(),
        }
