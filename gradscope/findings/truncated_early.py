"""Backpropagation cut off while the gradient is alive."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gradscope.findings._finding import Evidence, Finding, Found, laplace, middle, register


@register("truncated_early")
class TruncatedEarly(Finding):
    """||J_{T:0}^T g|| / ||g|| > 0.2 where the trajectory begins in a state that was carried over,
    detached: TBPTT shorter than the horizon.
    """

    figure = "traced_back"
    probe = "traced_back"
    remedies = ("longer_tbptt", "artbp")

    left: float = Field(
        0.2, gt=0, lt=1, description="share of the gradient that the cut must find alive"
    )

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Of windows of truncated backpropagation."""
        for name in sorted(evidence.recording.carried & set(evidence.in_time)):
            reach = evidence.reach(name)
            if reach is None or evidence.detached(name):
                continue
            curve = middle(reach)
            last = curve[~np.isnan(curve)][-1]
            if last > np.log(self.left):
                yield self.found(
                    name,
                    f"is cut off too early: of what a loss sends back, {np.exp(min(last, 50)):.0%}"
                    f" is still alive where the window of {len(reach) - 1} steps begins",
                    severity=0.5,
                    confidence=laplace(
                        [one[~np.isnan(one)][-1] > np.log(self.left) for one in reach.T]
                    ),
                    left=float(np.exp(min(last, 50))),
                    window=len(reach) - 1,
                )
