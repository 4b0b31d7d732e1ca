"""One state for all sequences."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("collapsed_states")
class CollapsedStates(Check):
    """The standard deviation of s_T over the batch is below 1e-3 of its size.

    Though the inputs differ: the state has forgotten what it read (mean field: the correlation
    map's fixed point c* = 1), or never heard it.
    """

    figure = "gradient_vs_lag"
    probe = "jacobian_norms"
    remedies = ("critical_start", "scale_inputs", "lstm_forget_bias")

    level: float = Field(
        1e-3,
        gt=0,
        description=(
            "standard deviation of s_T over the batch, relative to its size, under "
            "which states are one"
        ),
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at batches of four sequences or more."""
        for recurrence in evidence.in_time:
            trace = recurrence.trace
            states = trace.states.detach()[-1].double()
            differ = bool((trace.read != trace.read[:, :1]).any())
            if len(states) < 4 or trace.time < 4 or not differ:
                continue
            spread = float(states.std(0).norm() / states.norm(dim=-1).mean().clamp_min(1e-300))
            if spread < self.level:
                yield self.finding(
                    recurrence.place,
                    f"its last states are one and the same for all {len(states)} sequences: they "
                    f"differ by {spread:.1e} of their size",
                    severity=0.8,
                    confidence=0.95,
                    evidence={"spread": spread},
                )
