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
    """ln ||dL/ds_t|| and ln ||dL/dh_t|| for every t, the loss being the mean over scored steps and
    batch.

    Columns: t (0..time), time, block (state, or a named part such as h, c), log_norm (nats; 2-norm
    over units and batch together), tbptt_length and tbptt_stride (0 for the full adjoint; a
    training with TBPTT gets its truncated adjoint beside the full one).
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
    by_sequence = {name: a.log_norms(place) for name, place in trace.cell.blocks.items()}
    if (running := trace.running()) is not None:
        by_sequence = {n: v.masked_fill(~running, -torch.inf) for n, v in by_sequence.items()}
    blocks = {n: 0.5 * torch.logsumexp(2 * v, dim=-1) for n, v in by_sequence.items()}
    whole = 0.5 * torch.logsumexp(2 * torch.stack(list(blocks.values())), dim=0)
    return {"state": whole, **blocks}
