"""The gradient grows on its way back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding
from gradscope.findings._statistics import in_words, laplace, middle
from gradscope.results.statistics import STRONG


@register("exploding")
class Exploding(Check):
    """||J^T g||: what the last loss sends back grows by a factor of a thousand on its way.

    Of every recurrence, in time and in depth, where it is largest.

    Reference: Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural
    networks.
    """

    figure = "traced_back"
    probe = "traced_back"
    remedies = (
        "clip",
        "autoclip",
        "agc",
        "orthogonal_start",
        "critical_start",
        "orthogonal_for_good",
        "gru",
    )
    explains = ("transient_growth",)

    growth: float = Field(
        STRONG,
        gt=0,
        description="nats by which ||J^T g|| must grow; ln 1000 is a factor of a thousand",
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Take the median over sequences where it is largest."""
        for recurrence in evidence.recurrences:
            reach = recurrence.reach
            if reach is None:
                continue
            curve = middle(reach)
            lag = int(np.nanargmax(curve))
            growth, rate = float(curve[lag]), float(curve[lag]) / max(lag, 1)
            if not growth >= self.growth:
                continue
            in_depth = recurrence.place.along_depth
            yield self.finding(
                recurrence.place,
                f"explodes: {recurrence.sent} has grown by {in_words(growth)} {lag} "
                f"{recurrence.unit} back ({rate:+.2f} nats a step)",
                severity=min(1.0, 0.5 + growth / 60),
                confidence=laplace(
                    [bool(np.nanmax(logs) >= 0.9 * self.growth) for logs in reach.T]
                ),
                remedies=("layer_norm", "residual", "clip") if in_depth else None,
                evidence={"lag": lag, "growth_nats": growth, "nats_per_step": rate},
            )
