"""Gates along a sequence, unit by unit."""

from __future__ import annotations

import torch
from pydantic import Field

from gradscope.components.registry import register
from gradscope.dynamics.trace import Trace
from gradscope.probes._probe import Columns, Probe


@register("probe", "gates")
class Gates(Probe):
    """The value of every gate at every step of one sequence: when a cell forgets, when it writes,
    when it shows.

    Columns: gate, unit, t (1..time), value (phi(u)), symbol (what is read at t, '' where inputs are
    no text). No rows for a cell without gates.
    """

    units: int = Field(16, ge=1, description="units to record, the first ones")
    sequence: int = Field(0, ge=0, description="which sequence of the batch")

    def measure(self, trace: Trace) -> Columns:
        """One row for each gate, unit and step."""
        b = min(self.sequence, trace.inputs.shape[1] - 1)
        with torch.no_grad():
            gates = trace.cell.gates(
                trace.inputs[:, b : b + 1], trace.states[:-1, b : b + 1].detach()
            )
        if not gates:
            return {}
        text = trace.text[b] if trace.text is not None else ("",) * (trace.time + 1)
        columns: Columns = {name: [] for name in ("gate", "unit", "t", "value", "symbol")}
        for name, gate in gates.items():
            values = gate.activation(gate.preactivation)[:, 0]
            for unit in range(min(self.units, values.shape[-1])):
                columns["gate"] += [name] * trace.time
                columns["unit"] += [unit] * trace.time
                columns["t"] += range(1, trace.time + 1)
                columns["value"] += values[:, unit].double().tolist()
                columns["symbol"] += text[: trace.time]
        return columns
