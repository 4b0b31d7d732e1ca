"""The gradient grows on its way back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gradscope.findings._finding import Evidence, Finding, Found, laplace, middle, register, STRONG, times


@register("exploding")
class Exploding(Finding):
    """||J^T g||: what the last loss sends back grows by a factor of a thousand somewhere on its
    way.

    Of every recurrence, in time and in depth.

    Reference: Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural
    networks.
    """

    figure = "traced_back"
    probe = "traced_back"
    remedies = (
        "clip",
        "autoclip",
        "agc",
        "orthogonal_start",
        "critical_start",
        "orthogonal_for_good",
        "gru",
    )

    growth: float = Field(STRONG, gt=0, description="nats by which it must grow")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Where it is largest."""
        for name in evidence.traces:
            reach = evidence.reach(name)
            if reach is None:
                continue
            curve = middle(reach)
            lag = int(np.nanargmax(curve))
            if not curve[lag] >= self.growth:
                continue
            unit = "layers" if evidence.is_depth(name) else "steps"
            yield self.found(
                name,
                f"explodes: {evidence.sent(name)} has grown by {times(curve[lag])} {lag} {unit}"
                f" back ({curve[lag] / max(lag, 1):+.2f} nats a step)",
                severity=min(1.0, 0.5 + curve[lag] / 60),
                confidence=laplace([np.nanmax(one) >= 0.9 * self.growth for one in reach.T]),
                remedies=("layer_norm", "residual", "clip") if evidence.is_depth(name) else None,
                lag=lag,
                growth_nats=curve[lag],
                nats_per_step=curve[lag] / max(lag, 1),
            )
