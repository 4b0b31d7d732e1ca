"""A cell that shows nothing."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._finding import Evidence, Finding, Found, register


@register("output_gates_shut")
class OutputGatesShut(Finding):
    """mean o < 0.05: the cell's content is hidden, and the loss sends next to nothing into it."""

    figure = "gates"
    probe = "gates"
    remedies = ("reset_biases", "smaller_lr")

    level: float = Field(0.05, gt=0, lt=1, description="mean output gate under which it is shut")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """By the mean over steps, sequences and units."""
        for name in evidence.in_time:
            if found := evidence.shut(name, "o", self.level):
                mean, confidence = found
                yield self.found(
                    name,
                    f"its output gates are shut: {mean:.4f} on average, so that nothing of c is"
                    " shown",
                    severity=0.8,
                    confidence=confidence,
                    mean=mean,
                )
