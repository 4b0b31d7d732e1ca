"""Numbers that are none."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gradscope.capture import Recording
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
                f"its state is not finite from t = {step} on, {_source(recording, name, step)}",
                severity=1.0,
                confidence=0.99,
                evidence={"step": step},
            )
        gradients = recording.gradients
        bad = [name for name, norms in gradients.items() if not math.isfinite(norms.before)]
        if bad and not recording.update_skipped:  # a loss scaler looks for such gradients itself
            yield self.finding(
                "all parameters",
                f"the gradient of {len(bad)} of {len(gradients)} parameters is not finite "
                f"({', '.join(bad[:4])})",
                severity=1.0,
                confidence=0.99,
                evidence={"parameters": len(bad)},
            )


def _source(recording: Recording, name: str, step: int) -> str:
    """Where a state that is not finite comes from."""
    trace = recording.traces[name]
    weights = [
        key for key, weight in trace.cell.named_parameters() if not bool(weight.isfinite().all())
    ]
    if weights:
        return f"as its {' and '.join(weights[:3])} {'is' if len(weights) == 1 else 'are'} not"
    if step == 0:
        return "as the state that it begins in is not"
    unread = (~trace.read[step - 1].isfinite()).nonzero()
    if len(unread):
        sequence, unit = unread[0].tolist()
        return f"as its input there is not (first in sequence {sequence + 1}, unit {unit + 1})"
    return "though its weights and its input there are: it overflows within the step"
