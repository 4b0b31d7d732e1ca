"""A layer that learns a thousand times slower than its neighbour."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._finding import Evidence, Finding, Found, register


@register("layer_imbalance")
class LayerImbalance(Finding):
    """Gradient norm of one layer's recurrent weights against the next one's: a factor of 1000
    apart.
    """

    figure = "adjoint_norms"
    probe = "adjoint_norms"
    remedies = ("layer_norm", "residual", "lstm_forget_bias")

    ratio: float = Field(1e3, gt=1, description="between neighbouring layers")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Of modules with several layers."""
        for name in evidence.in_time:
            suffix = evidence.layer(name)
            if not suffix[1:].isdigit() or int(suffix[1:]) == 0:
                continue
            below = f"{name.removesuffix(suffix)}l{int(suffix[1:]) - 1}"
            if below not in evidence.in_time:
                continue
            norms = [
                math.sqrt(sum(v[1] ** 2 for n, v in evidence.weights(each).items() if "_hh" in n))
                for each in (below, name)
            ]
            if min(norms) > 0 and not 1 / self.ratio < norms[0] / norms[1] < self.ratio:
                slow = below if norms[0] < norms[1] else name
                yield self.found(
                    slow,
                    "it learns slowly beside its neighbour: the gradient of its recurrent weights"
                    f" is {min(norms) / max(norms):.1e} of the other layer's",
                    severity=0.5,
                    confidence=0.9,
                    ratio=min(norms) / max(norms),
                )
