"""A recurrence that no gradient reaches."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("cut_off")
class CutOff(Check):
    """Other parameters have gradients, its own may learn, and no gradient arrives.

    Its output is detached, or not used.
    """

    remedies = ("attach_output",)
    explains = ("vanishing", "exploding", "transient_growth")

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at where gradients arrived, if a backward pass was recorded."""
        if not evidence.recording.gradients:
            return
        for recurrence in evidence.recurrences:
            if not any(p.requires_grad for p in recurrence.module.parameters()):
                continue
            if any(stretch.is_heard for stretch in evidence.stretches(recurrence)):
                continue  # this pass was beside one that learns, such as a validation
            if recurrence.scored is not None:
                says = (
                    "the gradient that reaches it is exactly zero, though other parameters have one"
                )
            else:
                says = (
                    "no gradient reaches it, though other parameters have one: its output is "
                    "detached on its way to the loss, made under torch.no_grad(), or not used"
                )
            yield self.finding(
                recurrence.place,
                says,
                severity=1.0,
                confidence=0.95,
                evidence={"steps": recurrence.time},
            )
