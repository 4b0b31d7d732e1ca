"""Per-step gradient norms."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.dynamics import Adjoints, Trace, adjoints
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns, Rows


@register("adjoint_norms")
class AdjointNorms(Probe):
    """ln ||dL/ds_t|| and ln ||dL/dh_t|| for every t.

    The loss L is the mean over scored steps and batch. Columns: t (0..time), time, block (state, or
    a named part of it such as h or c), log_norm (nats; 2-norm over units and batch together),
    tbptt_length and tbptt_stride (0 for the full adjoint; where training is truncated, the
    truncated adjoint is measured as well).
    """

    cost = "steps"
    by_default = True
    order = 20

    def measure(self, trace: Trace) -> Columns:
        """One row for each t, block and truncation."""
        rows = Rows()
        for tbptt in [None] if trace.tbptt is None else [None, trace.tbptt]:
            length, stride = tbptt or (0, 0)
            for block, log_norms in _by_block(trace, adjoints(trace, tbptt=tbptt)).items():
                rows.add(
                    t=range(len(log_norms)),
                    time=trace.time,
                    block=block,
                    log_norm=log_norms.tolist(),
                    tbptt_length=length,
                    tbptt_stride=stride,
                )
        return rows


def _by_block(trace: Trace, a: Adjoints) -> dict[str, Float[Tensor, " steps"]]:
    """ln of the norm over units and batch, of the state and of its named parts."""
    running = trace.running()
    blocks: dict[str, Tensor] = {}
    for name, place in trace.cell.blocks.items():
        by_sequence = a.log_norms(place)
        if running is not None:
            by_sequence = by_sequence.masked_fill(~running, -torch.inf)
        blocks[name] = 0.5 * torch.logsumexp(2 * by_sequence, dim=-1)
    state = 0.5 * torch.logsumexp(2 * torch.stack(list(blocks.values())), dim=0)
    return {"state": state, **blocks}
