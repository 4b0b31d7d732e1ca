"""A cell that fills up."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding
from gradscope.findings._statistics import laplace


@register("cell_runaway")
class CellRunaway(Check):
    """The median of |c_T| is above 10, and still growing.

    tanh(c) is flat there, so the output no longer hears the cell nor the loss sends to it.
    """

    figure = "gates"
    probe = "gates"
    remedies = ("smaller_forget_bias", "scale_inputs", "layer_norm")

    level: float = Field(
        10.0, gt=0, description="median of |c_T| above which the cell runs away, if it still grows"
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at states that have a part c."""
        for recurrence in evidence.in_time:
            trace, blocks = recurrence.trace, recurrence.trace.cell.blocks
            if "c" not in blocks or trace.time < 8:
                continue
            c = trace.states.detach()[:, :, blocks["c"]].abs().double()
            last, halfway = float(c[-1].median()), float(c[trace.time // 2].median())
            if last > self.level and last > 1.2 * halfway:
                yield self.finding(
                    recurrence.place,
                    f"its cell runs away: half of |c| above {last:.1f} at the end, "
                    f"{halfway:.1f} halfway; tanh(c) is flat there",
                    severity=0.7,
                    confidence=laplace(c[-1].median(-1).values > self.level),
                    evidence={"median": last, "halfway": halfway},
                )
