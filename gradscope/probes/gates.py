"""The gates along one sequence, unit by unit."""

from __future__ import annotations

from pydantic import Field

from gradscope.dynamics import Trace
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns, Rows


@register("gates")
class Gates(Probe):
    """The value of every gate at every step of one sequence.

    Columns: gate, unit, t (1..time), value (phi(u)), symbol (the symbol read at t, '' if the inputs
    are no text). No rows for a cell without gates.
    """

    cost = "vectors"
    in_report = True
    order = 64

    units: int = Field(
        16, ge=1, description="how many units of each gate are recorded, the first ones"
    )
    sequence: int = Field(
        0, ge=0, description="index of the sequence that is recorded, counted from 0"
    )

    def measure(self, trace: Trace) -> Columns:
        """One row for each gate, unit and step."""
        sequence = min(self.sequence, trace.batch - 1)
        alone = trace.sequences(slice(sequence, sequence + 1))
        steps = range(1, trace.time + 1)
        if alone.mask is not None:
            steps = [t for t in steps if bool(alone.mask[t - 1, 0])]
        text = trace.text[sequence] if trace.text is not None else ("",) * (trace.time + 1)
        rows = Rows()
        for name, gate in alone.gates().items():
            values = gate.value[:, 0].double()
            for unit in range(min(self.units, values.shape[-1])):
                rows.add(
                    gate=name,
                    unit=unit,
                    t=steps,
                    value=values[:, unit].tolist(),
                    symbol=[text[t - 1] for t in steps],
                )
        return rows
