"""A cell that takes nothing in."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._finding import Evidence, Finding, Found, register


@register("input_gates_shut")
class InputGatesShut(Finding):
    """mean i < 0.05: nothing is written to the cell, and next to no gradient reaches what would be
    written.
    """

    figure = "gates"
    probe = "gates"
    remedies = ("reset_biases", "smaller_lr")

    level: float = Field(0.05, gt=0, lt=1, description="mean input gate under which it is shut")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """By the mean over steps, sequences and units."""
        for name in evidence.in_time:
            if found := evidence.shut(name, "i", self.level):
                mean, confidence = found
                yield self.found(
                    name,
                    f"its input gates are shut: {mean:.4f} on average, so that nothing is written",
                    severity=0.8,
                    confidence=confidence,
                    mean=mean,
                )
