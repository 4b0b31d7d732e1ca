"""Per-step gradient norms."""

from __future__ import annotations

import torch

from gradscope.components.registry import register
from gradscope.dynamics import adjoints
from gradscope.dynamics.trace import Trace
from gradscope.probes._probe import Columns, Probe


@register("probe", "adjoint_norms")
class AdjointNorms(Probe):
    """ln ||dL/ds_t|| and ln ||dL/dh_t|| for every t, the loss being the mean over scored steps and
    batch.

    Columns: t (0..time), time, block (state, or a named part such as h, c), log_norm (nats; 2-norm
    over units and batch together), tbptt_length and tbptt_stride (0 for the full adjoint; a
    training with TBPTT gets its truncated adjoint beside the full one).
    """

    def measure(self, trace: Trace) -> Columns:
        """One row for each t, block and truncation."""
        rows: dict[str, list] = {
            name: [] for name in ("t", "time", "block", "log_norm", "tbptt_length", "tbptt_stride")
        }
        for tbptt in [None] if trace.tbptt is None else [None, trace.tbptt]:
            found = adjoints(trace, tbptt=tbptt)
            length, stride = tbptt or (0, 0)
            logs = {name: found.log_norms(part) for name, part in trace.cell.blocks.items()}
            if (running := trace.running()) is not None:
                logs = {
                    name: values.masked_fill(~running, -torch.inf) for name, values in logs.items()
                }
            blocks = {
                name: 0.5 * torch.logsumexp(2 * values, dim=-1) for name, values in logs.items()
            }
            whole = 0.5 * torch.logsumexp(2 * torch.stack(list(blocks.values())), dim=0)
            for block, values in {"state": whole, **blocks}.items():
                rows["t"] += range(len(values))
                rows["log_norm"] += values.tolist()
                for name, value in (
                    ("time", trace.time),
                    ("block", block),
                    ("tbptt_length", length),
                    ("tbptt_stride", stride),
                ):
                    rows[name] += [value] * len(values)
        return rows
