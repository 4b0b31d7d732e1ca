"""Now and then a gradient far beyond the others."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("gradient_spikes")
class GradientSpikes(Check):
    """The largest gradient norm is above 20 times the median, and no clip tames it.

    Of five recordings or more.
    """

    remedies = ("clip", "autoclip", "smaller_lr")

    ratio: float = Field(
        20.0,
        gt=1,
        description="largest gradient norm over the median one above which it is a spike",
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Compare all recordings, by the norms after the clip where an optimiser stepped."""
        norms = sorted(
            norm.before if math.isnan(norm.after) else norm.after
            for norm in evidence.history.values()
        )
        if len(norms) < 5:
            return
        largest, median = norms[-1], norms[len(norms) // 2]
        if median > 0 and largest / median > self.ratio:
            yield self.finding(
                "all parameters",
                f"gradients spike: the largest norm of {len(norms)} recordings is "
                f"{largest / median:.0f} times the median",
                severity=0.6,
                confidence=0.8,
                evidence={"largest": largest, "median": median},
            )
