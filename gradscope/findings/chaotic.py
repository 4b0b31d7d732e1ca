"""Neighbouring trajectories part."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("chaotic")
class Chaotic(Check):
    """lambda_1 > 0: the largest Lyapunov exponent is positive while the states stay bounded.

    It must be so by more than two standard errors. An exponent is a rate in the long run: the
    trajectories are driven on by one another's inputs, to a thousand steps. A small positive value
    is no chaos: neighbours must part by a factor of ten on a sequence. A gradient through a chaotic
    recurrence grows without limit, and points nowhere for long.

    Reference: Engelken, Wolf and Abbott (2023), Lyapunov spectra of chaotic recurrent neural
    networks.
    """

    figure = "lyapunov"
    probe = "lyapunov"
    remedies = ("critical_start", "orthogonal_start", "clip", "gru")

    growth: float = Field(
        math.log(10),
        gt=0,
        description=(
            "nats by which neighbouring trajectories must part within a sequence; ln "
            "10 is a factor of ten"
        ),
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at trajectories of 50 steps or more."""
        for recurrence in evidence.in_time:
            if recurrence.exponent is None:
                continue
            value, error = recurrence.exponent
            sizes = recurrence.trace.states.detach().flatten(1).norm(dim=1)
            bounded = float(sizes[-1]) < 3 * float(sizes[len(sizes) // 2]) + 1e-12
            if bounded and value * recurrence.time > self.growth and value - 2 * error > 0:
                certainty = math.erf(value / max(error, 1e-12) / math.sqrt(2))
                yield self.finding(
                    recurrence.place,
                    f"is chaotic: largest Lyapunov exponent {value:+.3f} ± {error:.3f} nats per "
                    "step; two trajectories that differ by rounding have parted after "
                    f"{16 / max(value, 1e-9):.0f} steps",
                    severity=min(1.0, 0.5 + 2 * value),
                    confidence=0.5 * (1 + certainty),
                    evidence={"exponent": value, "standard_error": error},
                )
