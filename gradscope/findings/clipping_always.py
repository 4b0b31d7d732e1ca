"""A clip that is always on."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding
from gradscope.findings._statistics import laplace


@register("clipping_always")
class ClippingAlways(Check):
    """The norm after the clip over the norm before it: under 0.5 in nine of ten recordings.

    The step's size is then the clip's and not the gradient's: a learning rate in disguise. Needs
    recorded blocks that hold the clip and the optimiser's step.
    """

    remedies = ("autoclip", "larger_clip", "smaller_lr")

    factor: float = Field(
        0.5,
        gt=0,
        lt=1,
        description=(
            "median of the norm after the clip over that before, 0 to 1, under which the clip rules"
        ),
    )
    share: float = Field(
        0.9, gt=0, le=1, description="share of the recordings, 0 to 1, that the clip must change"
    )
    recordings: int = Field(3, ge=1, description="recordings of an update that it takes to judge")

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Compare the norms of all recordings before and after the clip."""
        norms = [
            norm
            for norm in evidence.history.values()
            if not math.isnan(norm.after) and norm.before > 0
        ]
        factors = sorted(
            norm.after / norm.before for norm in norms if norm.after < 0.999 * norm.before
        )
        if len(norms) < self.recordings or len(factors) < self.share * len(norms):
            return
        median = factors[len(factors) // 2]
        if median < self.factor:
            untouched = len(norms) - len(factors)
            yield self.finding(
                "all parameters",
                f"clipping is on in {len(factors)} of {len(norms)} recordings, and leaves "
                f"{median:.2g} of the gradient (median)",
                severity=0.3 + 0.4 * (1 - median),
                confidence=laplace([True] * len(factors) + [False] * untouched),
                evidence={"factor": median, "recordings": len(norms)},
            )
