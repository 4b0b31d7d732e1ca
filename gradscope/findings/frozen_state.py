"""A state that does not move."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding
from gradscope.findings._statistics import laplace


@register("frozen_state")
class FrozenState(Check):
    """||s_t - s_{t-1}|| / ||s_t|| < 1e-4 while the inputs change.

    Update gates are stuck, or a forget gate is at 1 and an input gate at 0.
    """

    figure = "gates"
    probe = "gates"
    remedies = ("reset_biases", "smaller_lr")
    explains = ("input_gates_shut", "collapsed_states")

    level: float = Field(
        1e-4,
        gt=0,
        description=(
            "||s_t - s_{t-1}|| / ||s_t||, its median over steps, under which the state stands still"
        ),
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Take the median over the later three quarters of the steps."""
        for recurrence in evidence.in_time:
            trace = recurrence.trace
            if (
                trace.time < 4
                or recurrence.place.loop
                or not bool((trace.read[1:] != trace.read[:-1]).any())
            ):
                continue
            states = trace.states.detach()[trace.time // 4 :, recurrence.whole].double()
            sizes = states[1:].norm(dim=-1).clamp_min(1e-12)
            by_sequence = ((states[1:] - states[:-1]).norm(dim=-1) / sizes).median(0).values
            change = float(by_sequence.median())
            if change < self.level:
                yield self.finding(
                    recurrence.place,
                    f"its state stands still: it changes by {change:.1e} of its size a step while "
                    "the inputs change",
                    severity=0.9,
                    confidence=laplace(by_sequence < self.level),
                    evidence={"change": change},
                )
