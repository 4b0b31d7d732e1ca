"""A gradient that grows before it dies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gradscope.findings._finding import Evidence, Finding, Found, laplace, middle, register, STRONG, times


@register("transient_growth")
class TransientGrowth(Finding):
    """||J^T g|| rises by a factor of ten or more and ends below where it began: non-normal
    Jacobians, whose norm the spectral radius hides.

    Reference: Kerg et al. (2019), Non-normal recurrent neural network; Trefethen and Embree (2005),
    Spectra and pseudospectra.
    """

    figure = "traced_back"
    probe = "traced_back"
    remedies = ("orthogonal_start", "clip")

    growth: float = Field(2.302585092994046, gt=0, description="nats by which it must rise")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """By the median over sequences."""
        for name in evidence.in_time:
            reach = evidence.reach(name)
            if reach is None or len(reach) < 8:
                continue
            curve = middle(reach)
            lag, last = int(np.nanargmax(curve)), curve[~np.isnan(curve)][-1]
            if self.growth <= curve[lag] < STRONG and last < 0:
                yield self.found(
                    name,
                    f"{evidence.sent(name)} grows by {times(curve[lag])} up to lag {lag} and then"
                    f" falls to {np.exp(max(last, -700)):.1e} of itself",
                    severity=0.3,
                    confidence=laplace([np.nanmax(one) >= 0.9 * self.growth for one in reach.T]),
                    lag=lag,
                    growth_nats=curve[lag],
                )
