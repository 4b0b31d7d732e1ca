"""How much of the cell has flattened out."""

from __future__ import annotations

import torch
from pydantic import Field

from gradscope.components.registry import register
from gradscope.dynamics import saturated
from gradscope.dynamics.trace import Trace
from gradscope.probes._probe import Columns, Probe


@register("probe", "saturation")
class Saturation(Probe):
    """The share of saturated units of every gate over all steps of the measured sequences, and the
    gate's mean value.

    Saturated: |phi'(u)| at most ``threshold`` of its largest; low where u <= 0, high where u > 0.
    Columns: gate, low, high (shares, 0..1), mean (of phi(u)). No rows for a cell without gates.
    """

    sequences: int = Field(8, ge=1, description="sequences of the batch to measure")
    threshold: float = Field(
        0.1, gt=0, lt=1, description="share of the largest slope under which a unit is saturated"
    )

    def measure(self, trace: Trace) -> Columns:
        """One row for each gate."""
        trace = trace.first(self.sequences)
        columns: Columns = {"gate": [], "low": [], "high": [], "mean": []}
        with torch.no_grad():
            gates = trace.cell.gates(trace.inputs, trace.states[:-1])
        if not gates:
            return {}
        for name, gate in gates.items():
            value = gate.activation(gate.preactivation)
            low, high = saturated(gate.activation, gate.preactivation, self.threshold, value)
            columns["gate"].append(name)
            columns["low"].append(int(low.count_nonzero()) / low.numel())
            columns["high"].append(int(high.count_nonzero()) / high.numel())
            columns["mean"].append(float(value.mean(dtype=torch.float64)))
        return columns
