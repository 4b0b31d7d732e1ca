"""One state for all sequences."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._finding import Evidence, Finding, Found, register


@register("collapsed_states")
class CollapsedStates(Finding):
    """Standard deviation of s_T over the batch against its size: below 1e-3, though the inputs
    differ.

    The state has forgotten what it read (mean field: the correlation map's fixed point c* = 1), or
    never heard it.
    """

    figure = "gradient_vs_lag"
    probe = "jacobian_norms"
    remedies = ("critical_start", "scale_inputs", "lstm_forget_bias")

    level: float = Field(1e-3, gt=0, description="relative spread under which states are one")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Of batches of four or more."""
        for name, trace in evidence.in_time.items():
            states = trace.states.detach()[-1].double()
            if (
                len(states) < 4
                or trace.time < 4
                or not bool((trace.inputs != trace.inputs[:, :1]).any())
            ):
                continue
            spread = states.std(0).norm() / states.norm(dim=-1).mean().clamp_min(1e-300)
            if float(spread) < self.level:
                yield self.found(
                    name,
                    f"its last states are one and the same for all {len(states)} sequences: they"
                    f" differ by {float(spread):.1e} of their size",
                    severity=0.8,
                    confidence=0.95,
                    spread=float(spread),
                )
