"""A state detached at every step."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.dynamics.trace import recurrence
from gradscope.findings._finding import Evidence, Finding, Found, register


@register("detached_steps")
class DetachedSteps(Finding):
    """Three chains or more of one module, each of a step or two and begun in the detached state of
    the one before: no gradient in time.
    """

    remedies = ("attach_state", "longer_tbptt")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """By the chains that were recorded."""
        chains: dict[str, list[str]] = {}
        for name in evidence.in_time:
            chains.setdefault(recurrence(name), []).append(name)
        for base, names in chains.items():
            if not evidence.detached(names[-1]):
                continue
            longest = max(evidence.traces[name].time for name in names)
            pace = "at every step" if longest == 1 else f"every {longest} steps"
            yield self.found(
                base,
                f"its state is detached {pace}: {len(names)} stretches, and no gradient from one to"
                " another",
                severity=1.0,
                confidence=0.95,
                stretches=len(names),
                steps=longest,
            )
