"""Numbers that are none."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("not_finite")
class NotFinite(Check):
    """A state, or a gradient, is infinite or NaN."""

    remedies = ("smaller_lr", "clip", "scale_inputs")

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look for the first such step, and at every parameter's gradient."""
        recording = evidence.recording
        for name, step in recording.nonfinite.items():
            yield self.finding(
                recording.places[name],
                f"its state is not finite from t = {step} on",
                severity=1.0,
                confidence=0.99,
                evidence={"step": step},
            )
        gradients = recording.gradients
        bad = [name for name, norms in gradients.items() if not math.isfinite(norms.before)]
        if bad:
            yield self.finding(
                "all parameters",
                f"the gradient of {len(bad)} of {len(gradients)} parameters is not finite "
                f"({', '.join(bad[:4])})",
                severity=1.0,
                confidence=0.99,
                evidence={"parameters": len(bad)},
            )
