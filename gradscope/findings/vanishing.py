"""The gradient dies on its way back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gradscope.findings._finding import STRONG, Evidence, Finding, Found, below_for_good, laplace, middle, times
from gradscope.registry import register


@register("finding", "vanishing")
class Vanishing(Finding):
    """||J^T g||: what the last loss sends back falls by a factor of a thousand, and stays there, before it reaches the
    beginning.

    Of every recurrence, in time and in depth; the lag is that at which the median over sequences has fallen so far.

    Reference: Bengio, Simard and Frasconi (1994), Learning long-term dependencies with gradient descent is difficult.
    """

    figure = "traced_back"
    probe = "traced_back"
    remedies = (
        "gru",
        "lstm_forget_bias",
        "lstm_chrono",
        "update_bias",
        "keep_state",
        "irnn",
        "orthogonal_start",
        "orthogonal_for_good",
        "omega",
    )

    fall: float = Field(STRONG, gt=0, description="nats by which it must fall")
    steps: int = Field(8, ge=2, description="steps that a trajectory must have")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Where it has fallen for good."""
        for name in evidence.traces:
            reach = evidence.reach(name)
            if reach is None or len(reach) <= (2 if evidence.is_depth(name) else self.steps):
                continue
            curve = middle(reach)
            curve = curve[~np.isnan(curve)]
            lag = below_for_good(curve, -self.fall)
            if lag is None:
                continue
            known = curve
            unit = "layers" if evidence.is_depth(name) else "steps"
            finite = np.flatnonzero(np.isfinite(known))
            slope = float(np.polyfit(finite, known[finite], 1)[0]) if len(finite) > 2 else float("-inf")
            yield self.found(
                name,
                f"vanishes: {evidence.sent(name)} has lost {times(-known[-1])} after {len(known) - 1} {unit}, and a factor "
                f"of a thousand beyond lag {lag} ({slope:+.2f} nats a step)",
                severity=0.3 + 0.7 * (1 - lag / (len(known) - 1)),
                confidence=laplace([np.nanmin(one[lag:]) < -0.9 * self.fall for one in reach.T if not np.isnan(one[lag])]),
                remedies=("residual", "layer_norm") if evidence.is_depth(name) else None,
                lag=lag,
                fall_nats=-known[-1],
                nats_per_step=slope,
            )
