"""Numbers that are none."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.findings._finding import Evidence, Finding, Found, register


@register("not_finite")
class NotFinite(Finding):
    """A state, or a gradient, that is infinite or NaN."""

    remedies = ("smaller_lr", "clip", "scale_inputs")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """At the first step, and in any parameter's gradient."""
        for name, step in evidence.recording.nonfinite.items():
            yield self.found(
                name,
                f"its state is not finite from t = {step} on",
                severity=1.0,
                confidence=0.99,
                step=step,
            )
        bad = [
            name
            for name, (_, before, _) in evidence.recording.gradients.items()
            if before != before or before == float("inf")
        ]
        if bad:
            yield self.found(
                "all parameters",
                f"the gradient of {len(bad)} of {len(evidence.recording.gradients)} parameters is"
                f" not finite ({', '.join(bad[:4])})",
                severity=1.0,
                confidence=0.99,
                parameters=len(bad),
            )
