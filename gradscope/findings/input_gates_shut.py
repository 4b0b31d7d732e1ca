"""A cell that takes nothing in."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding
from gradscope.findings._recurrence import Recurrence


@register("input_gates_shut")
class InputGatesShut(Check):
    """The mean of i is below 0.05: nothing is written to the cell.

    Next to no gradient reaches what would be written. Not where the forget gate f is as far open,
    as of an LSTM that starts for long lags (chrono): with i near 1 - f a cell is a slow average of
    what comes in, c = f c + (1 - f) g, and little at a time adds up.
    """

    figure = "gates"
    probe = "gates"
    remedies = ("reset_biases", "smaller_lr")

    level: float = Field(
        0.05, gt=0, lt=1, description="mean of the input gate i, 0 to 1, under which it is shut"
    )

    adds_up: float = Field(
        0.5,
        gt=0,
        le=1,
        description="mean of i / (1 - f), at most 1 each, from which little adds up",
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Take the means over steps, sequences and units."""
        for recurrence in evidence.in_time:
            shut = recurrence.shut("i", self.level)
            if shut and self._adding_up(recurrence) < self.adds_up:
                yield self.finding(
                    recurrence.place,
                    f"its input gates are shut: {shut.mean:.4f} on average, so that nothing is "
                    "written",
                    severity=0.8,
                    confidence=shut.confidence,
                    evidence={"mean": shut.mean},
                )

    def _adding_up(self, recurrence: Recurrence) -> float:
        """The mean of min(1, i / (1 - f)); 0 of a cell without a forget gate."""
        gates = recurrence.gates
        if "f" not in gates:
            return 0.0
        written, lost = gates["i"].value, 1 - gates["f"].value
        return float((written / lost.clamp(min=written)).mean())
