"""A gradient that grows before it dies."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding
from gradscope.findings._statistics import in_words, laplace, middle
from gradscope.results.statistics import STRONG


@register("transient_growth")
class TransientGrowth(Check):
    """||J^T g|| rises by a factor of ten or more and ends below where it began.

    So it is with non-normal Jacobians, whose norm the spectral radius hides.

    Reference: Kerg et al. (2019), Non-normal recurrent neural network; Trefethen and Embree (2005),
    Spectra and pseudospectra.
    """

    figure = "traced_back"
    probe = "traced_back"
    remedies = ("orthogonal_start", "clip")

    growth: float = Field(
        math.log(10),
        gt=0,
        description=("nats by which ||J^T g|| must rise before it falls; ln 10 is a factor of ten"),
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Take the median over sequences."""
        for recurrence in evidence.in_time:
            reach = recurrence.reach
            if reach is None or len(reach) < 8:
                continue
            curve = middle(reach)
            lag, last = int(np.nanargmax(curve)), float(curve[~np.isnan(curve)][-1])
            growth = float(curve[lag])
            if self.growth <= growth < STRONG and last < 0:
                yield self.finding(
                    recurrence.place,
                    f"{recurrence.sent} grows by {in_words(growth)} up to lag {lag} and then falls "
                    f"to {np.exp(max(last, -700)):.1e} of itself",
                    severity=0.3,
                    confidence=laplace(
                        [bool(np.nanmax(logs) >= 0.9 * self.growth) for logs in reach.T]
                    ),
                    evidence={"lag": lag, "growth_nats": growth},
                )
