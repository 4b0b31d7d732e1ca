"""Backpropagation cut off while the gradient is alive."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding
from gradscope.findings._statistics import laplace, middle


@register("truncated_early")
class TruncatedEarly(Check):
    """||J_{T:0}^T g|| / ||g|| > 0.2 where a state that was carried over, detached, begins it.

    TBPTT is shorter than the horizon.
    """

    figure = "traced_back"
    probe = "traced_back"
    remedies = ("longer_tbptt", "artbp")

    left: float = Field(
        0.2,
        gt=0,
        lt=1,
        description=(
            "share of the gradient, 0 to 1, that must be alive where the truncation cuts it"
        ),
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at windows of truncated backpropagation."""
        for recurrence in sorted(evidence.in_time, key=lambda other: str(other.place)):
            reach = recurrence.reach
            if not recurrence.carried or reach is None or evidence.detached(recurrence):
                continue
            last = float(middle(reach)[-1])  # of sequences that were there and not begun anew since
            if last > math.log(self.left):
                left, window = math.exp(min(last, 50)), len(reach) - 1
                alive = [bool(log > math.log(self.left)) for log in reach[-1] if not np.isnan(log)]
                yield self.finding(
                    recurrence.place,
                    f"is cut off too early: of what a loss sends back, {left:.0%} is still alive "
                    f"where the window of {window} steps begins",
                    severity=0.5,
                    confidence=laplace(alive),
                    evidence={"left": left, "window": window},
                )
