"""A recurrence that no gradient reaches."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.dynamics.trace import recurrence
from gradscope.findings._finding import Evidence, Finding, Found, register


@register("cut_off")
class CutOff(Finding):
    """The model has gradients, its recurrent weights may have them, and none arrives: an output
    that is detached, or not used.
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
            mine = [
                each
                for each, other in evidence.modules.items()
                if other is module and each in evidence.traces
            ]
            if any(
                self._reached(evidence, each)
                for each in mine
                if recurrence(each) == recurrence(name)
            ):
                continue  # this pass was beside one that learns, such as a validation
            if not self._reached(evidence, name):
                zero = evidence.traces[name].immediate is not None
                yield self.found(
                    name,
                    (
                        "the gradient that reaches it is exactly zero, though other parameters"
                        " have one"
                        if zero
                        else (
                            "no gradient reaches it, though other parameters have one: its output"
                            " is detached on its way to the loss, made under torch.no_grad(), or"
                            " not used"
                        )
                    ),
                    severity=1.0,
                    confidence=0.95,
                    steps=trace.time,
                )

    def _reached(self, evidence: Evidence, name: str) -> bool:
        heard = evidence.heard(name)
        return heard is not None and bool(heard.any())
