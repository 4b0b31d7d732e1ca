"""Neighbouring trajectories part."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._finding import Evidence, Finding, Found, register


@register("chaotic")
class Chaotic(Finding):
    """lambda_1 > 0: the largest Lyapunov exponent is positive by more than two standard errors
    while the states stay bounded.

    An exponent is a rate in the long run: the trajectories are driven on by one another's inputs,
    to a thousand steps. A small positive value is no chaos: neighbours must part by a factor of ten
    on a sequence. A gradient through a chaotic recurrence grows without limit, and points nowhere
    for long.

    Reference: Engelken, Wolf and Abbott (2023), Lyapunov spectra of chaotic recurrent neural
    networks.
    """

    figure = "lyapunov"
    probe = "lyapunov"
    remedies = ("critical_start", "orthogonal_start", "clip", "gru")

    growth: float = Field(
        2.302585092994046,
        gt=0,
        description="nats by which neighbours must part within the trajectory",
    )

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Trajectories of 50 steps or more."""
        for name, trace in evidence.in_time.items():
            found = evidence.exponent(name)
            if found is None:
                continue
            value, error = found
            sizes = trace.states.detach().flatten(1).norm(dim=1)
            bounded = float(sizes[-1]) < 3 * float(sizes[len(sizes) // 2]) + 1e-12
            if bounded and value * trace.time > self.growth and value - 2 * error > 0:
                yield self.found(
                    name,
                    f"is chaotic: largest Lyapunov exponent {value:+.3f} ± {error:.3f} nats per"
                    " step; two trajectories that differ by rounding have parted after"
                    f" {16 / max(value, 1e-9):.0f} steps",
                    severity=min(1.0, 0.5 + 2 * value),
                    confidence=0.5 * (1 + math.erf(value / max(error, 1e-12) / math.sqrt(2))),
                    exponent=value,
                    standard_error=error,
                )
