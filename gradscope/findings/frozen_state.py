"""A state that does not move."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._finding import Evidence, Finding, Found, laplace, register


@register("frozen_state")
class FrozenState(Finding):
    """||s_t - s_{t-1}|| / ||s_t|| < 1e-4 while the inputs change: update gates stuck, or a forget
    gate at 1 and an input gate at 0.
    """

    figure = "gates"
    probe = "gates"
    remedies = ("reset_biases", "smaller_lr")

    level: float = Field(
        1e-4, gt=0, description="relative change a step under which it stands still"
    )

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """By the median over the later three quarters of the steps."""
        for name, trace in evidence.in_time.items():
            if trace.time < 4 or not bool((trace.inputs[1:] != trace.inputs[:-1]).any()):
                continue
            whole = evidence.lengths(name).to(trace.states.device) == trace.time
            states = trace.states.detach()[trace.time // 4 :, whole].double()
            moved = (states[1:] - states[:-1]).norm(dim=-1) / states[1:].norm(dim=-1).clamp_min(
                1e-12
            )
            each = moved.median(0).values
            if (change := float(each.median())) < self.level:
                yield self.found(
                    name,
                    f"its state stands still: it changes by {change:.1e} of its size a step while"
                    " the inputs change",
                    severity=0.9,
                    confidence=laplace((each < self.level).cpu()),
                    change=change,
                )
