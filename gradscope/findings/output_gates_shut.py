"""A cell that shows nothing."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("output_gates_shut")
class OutputGatesShut(Check):
    """The mean of o is below 0.05: the cell's content is hidden.

    The loss sends next to nothing into it.
    """

    figure = "gates"
    probe = "gates"
    remedies = ("reset_biases", "smaller_lr")

    level: float = Field(
        0.05, gt=0, lt=1, description="mean of the output gate o, 0 to 1, under which it is shut"
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Take the mean over steps, sequences and units."""
        for recurrence in evidence.in_time:
            if shut := recurrence.shut("o", self.level):
                yield self.finding(
                    recurrence.place,
                    f"its output gates are shut: {shut.mean:.4f} on average, so that nothing of "
                    "c is shown",
                    severity=0.8,
                    confidence=shut.confidence,
                    evidence={"mean": shut.mean},
                )
