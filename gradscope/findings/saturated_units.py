"""Units at the ends of their range."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.dynamics import saturated
from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding
from gradscope.findings._statistics import laplace


@register("saturated_units")
class SaturatedUnits(Check):
    """|phi'(u)| is at most a tenth of its largest at more than 0.6 of (step, sequence, unit).

    Of h, g or n. A saturated unit passes no gradient to anything before it.
    """

    figure = "saturation"
    probe = "saturation"
    remedies = ("smaller_start", "scale_inputs", "layer_norm", "smaller_lr")

    share: float = Field(
        0.6,
        gt=0,
        le=1,
        description="share of (step, sequence, unit), 0 to 1, above which saturation is told",
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at units that saturate, but not at gates, which may well be shut or open."""
        for recurrence in evidence.in_time:
            for name, gate in recurrence.gates.items():
                if name not in ("h", "g", "n") or not gate.activation.saturates:
                    continue
                low, high = saturated(gate.activation, gate.preactivation, 0.1)
                flat = (low | high).double().mean(-1)
                share = float(flat.mean())
                if share > self.share:
                    yield self.finding(
                        recurrence.place,
                        f"{share:.0%} of its units ({name}) are saturated, and pass no gradient",
                        severity=0.4 + 0.5 * share,
                        confidence=laplace(flat.mean(0) > self.share),
                        evidence={"share": share},
                    )
