"""A state detached at every step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("detached_steps")
class DetachedSteps(Check):
    """Three chains or more of one module, each of a step or two: no gradient in time.

    Each begins in the detached state of the one before.
    """

    remedies = ("attach_state", "longer_tbptt")
    explains = ("truncated_early", "cut_off", "unheard_inputs")

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at the chains that were recorded."""
        last_stretches = {stretch.place.recurrence: stretch for stretch in evidence.in_time}
        for recurrence in last_stretches.values():
            if not evidence.detached(recurrence):
                continue
            stretches = evidence.stretches(recurrence)
            longest = max(stretch.time for stretch in stretches)
            pace = "at every step" if longest == 1 else f"every {longest} steps"
            yield self.finding(
                replace(recurrence.place, stretch=None),
                f"its state is detached {pace}: {len(stretches)} stretches, and no gradient from "
                "one to another",
                severity=1.0,
                confidence=0.95,
                evidence={"stretches": len(stretches), "steps": longest},
            )
