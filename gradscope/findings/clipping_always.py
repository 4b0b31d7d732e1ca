"""A clip that is always on."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._finding import Evidence, Finding, Found, laplace, register


@register("clipping_always")
class ClippingAlways(Finding):
    """Norm after the clip over norm before it: under 0.5 in nine of ten recordings.

    The step's size is then the clip's and not the gradient's: a learning rate in disguise. Needs
    recorded blocks that hold the clip and the optimiser's step.
    """

    remedies = ("autoclip", "larger_clip", "smaller_lr")

    factor: float = Field(0.5, gt=0, lt=1, description="median factor under which a clip rules")
    share: float = Field(0.9, gt=0, le=1, description="of the recordings that it changes")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Over all recordings."""
        pairs = [(a, b) for a, b in evidence.history.values() if b == b and a > 0]
        # a power of two is a loss scaler's, which has divided its scale out before the step
        clipped = [b / a for a, b in pairs if b < 0.999 * a and not _scaled(b / a)]
        if (
            pairs
            and len(clipped) >= self.share * len(pairs)
            and (median := sorted(clipped)[len(clipped) // 2]) < self.factor
        ):
            yield self.found(
                "all parameters",
                f"clipping is on in {len(clipped)} of {len(pairs)} recordings, and leaves"
                f" {median:.2g} of the gradient (median)",
                severity=0.3 + 0.4 * (1 - median),
                confidence=laplace([True] * len(clipped) + [False] * (len(pairs) - len(clipped))),
                factor=median,
                recordings=len(pairs),
            )


def _scaled(factor: float) -> bool:
    exponent = math.log2(factor) if factor > 0 else 0.5
    return exponent <= -7 and abs(exponent - round(exponent)) < 1e-4
