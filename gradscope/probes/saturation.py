"""How many units of the cell are saturated."""

from __future__ import annotations

from types import MappingProxyType

import torch
from pydantic import Field

from gradscope.dynamics import Trace, saturated
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns, Rows


@register("saturation")
class Saturation(Probe):
    """The share of saturated units of every gate, over all steps, and the gate's mean value.

    A unit is saturated where |phi'(u)| is at most ``threshold`` of its largest value: low where
    u <= 0, high where u > 0. Columns: gate, low, high (shares, 0..1), mean (of phi(u)). No rows for
    a cell without gates.
    """

    cost = "steps"
    by_default = True
    scope_options = MappingProxyType({"sequences": 4})
    order = 100

    sequences: int = Field(
        8, ge=1, description="how many sequences of the batch are measured, the first ones"
    )
    threshold: float = Field(
        0.1,
        gt=0,
        lt=1,
        description=(
            "share of the largest slope max |phi'|, 0 to 1, up to which a unit counts as saturated"
        ),
    )

    def measure(self, trace: Trace) -> Columns:
        """One row for each gate."""
        rows = Rows()
        for name, gate in trace.first(self.sequences).gates().items():
            value = gate.value
            low, high = saturated(gate.activation, gate.preactivation, self.threshold, value)
            rows.add(
                gate=name,
                low=int(low.count_nonzero()) / low.numel(),
                high=int(high.count_nonzero()) / high.numel(),
                mean=float(value.mean(dtype=torch.float64)),
            )
        return rows
