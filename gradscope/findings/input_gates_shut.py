"""A cell that takes nothing in."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("input_gates_shut")
class InputGatesShut(Check):
    """The mean of i is below 0.05: nothing is written to the cell.

    Next to no gradient reaches what would be written.
    """

    figure = "gates"
    probe = "gates"
    remedies = ("reset_biases", "smaller_lr")

    level: float = Field(
        0.05, gt=0, lt=1, description="mean of the input gate i, 0 to 1, under which it is shut"
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Take the mean over steps, sequences and units."""
        for recurrence in evidence.in_time:
            if shut := recurrence.shut("i", self.level):
                yield self.finding(
                    recurrence.place,
                    f"its input gates are shut: {shut.mean:.4f} on average, so that nothing is "
                    "written",
                    severity=0.8,
                    confidence=shut.confidence,
                    evidence={"mean": shut.mean},
                )
