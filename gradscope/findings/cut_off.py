"""A recurrence that no gradient reaches."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.findings._finding import Evidence, Finding, Found
from gradscope.registry import register


@register("finding", "cut_off")
class CutOff(Finding):
    """The model has gradients, its recurrent weights may have them, and none arrives: an output that is detached, or not
    used.
    """

    remedies = ("attach_output",)

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Only where a backward pass was recorded."""
        if not evidence.recording.gradients:
            return
        for name, trace in evidence.traces.items():
            module = evidence.modules.get(name)
            if module is None or not any(p.requires_grad for p in module.parameters()):
                continue
            heard = evidence.heard(name)
            if heard is None or not bool(heard.any()):
                yield self.found(
                    name,
                    "no gradient reaches it, though other parameters have one: its output is detached on its way to the loss, "
                    "or not used",
                    severity=1.0,
                    confidence=0.95,
                    steps=trace.time,
                )
