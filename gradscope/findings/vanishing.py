"""The gradient dies on its way back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gradscope.findings._finding import below_for_good, Evidence, Finding, Found, laplace, middle, register, STRONG, times

#: said where the whole loss does not vanish
_AROUND = "early states are moved by other ways (losses of their own, attention, the layer above)"


@register("vanishing")
class Vanishing(Finding):
    """||J^T g||: what the last loss sends back falls by a factor of a thousand, and stays there,
    before it reaches the beginning.

    Of every recurrence, in time and in depth, along that recurrence alone; the lag is that at which
    the median over sequences has fallen so far. It is an illness if the task has to look further
    back. Where the whole loss moves the early states all the same, by losses of their own, by
    attention or by the layer above, the severity is halved and the sentence says so.

    Reference: Bengio, Simard and Frasconi (1994), Learning long-term dependencies with gradient
    descent is difficult.
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
            unit = "layers" if evidence.is_depth(name) else "steps"
            finite = np.flatnonzero(np.isfinite(curve))
            slope = (
                float(np.polyfit(finite, curve[finite], 1)[0]) if len(finite) > 2 else float("-inf")
            )
            whole = self._whole(evidence, name, len(curve) - 1)
            around = whole is not None and whole > -self.fall
            yield self.found(
                name,
                f"vanishes: {evidence.sent(name)} has lost {times(-curve[-1])} after"
                f" {len(curve) - 1} {unit}, and a factor of a thousand beyond lag {lag}"
                f" ({slope:+.2f} nats a step)" + ("; " + _AROUND if around else ""),
                severity=(0.3 + 0.7 * (1 - lag / (len(curve) - 1))) * (0.5 if around else 1.0),
                confidence=laplace(
                    [
                        np.nanmin(one[lag:]) < -0.9 * self.fall
                        for one in reach.T
                        if not np.isnan(one[lag])
                    ]
                ),
                remedies=("residual", "layer_norm") if evidence.is_depth(name) else None,
                lag=lag,
                fall_nats=-curve[-1],
                nats_per_step=slope,
            )

    @staticmethod
    def _whole(evidence: Evidence, name: str, lag: int) -> float | None:
        """ln of ||dL/ds_t|| of the whole loss over its largest, at that lag: the median over
        sequences; None without a loss.
        """
        found = evidence.adjoint(name)
        if found is None:
            return None
        logs = found.log_norms().cpu().numpy()
        largest = np.max(logs, axis=0)
        first = evidence.traces[name].time - evidence.lengths(name).cpu().numpy()
        at = np.minimum(np.maximum(len(logs) - 1 - lag, first), len(logs) - 1)
        own = (logs[at, np.arange(logs.shape[1])] - largest)[np.isfinite(largest)]
        return float(np.median(own)) if len(own) else None
