"""A layer that learns a thousand times slower than its neighbour."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding
from gradscope.findings._recurrence import Recurrence


@register("layer_imbalance")
class LayerImbalance(Check):
    """Gradient norms of two neighbouring layers' recurrent weights: a factor of 1000 apart."""

    figure = "adjoint_norms"
    probe = "adjoint_norms"
    remedies = ("layer_norm", "residual", "lstm_forget_bias")

    ratio: float = Field(
        1e3,
        gt=1,
        description=(
            "factor between the gradient norms of neighbouring layers from which on "
            "they are out of balance"
        ),
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Compare each layer with the one below it."""
        for above in evidence.in_time:
            below = evidence.at(above.place.below)
            if below is None:
                continue
            slow, fast = sorted((below, above), key=_recurrent_norm)
            norms = _recurrent_norm(slow), _recurrent_norm(fast)
            if norms[0] > 0 and not norms[1] / norms[0] < self.ratio:
                yield self.finding(
                    slow.place,
                    "it learns slowly beside its neighbour: the gradient of its recurrent weights "
                    f"is {norms[0] / norms[1]:.1e} of the other layer's",
                    severity=0.5,
                    confidence=0.9,
                    evidence={"ratio": norms[0] / norms[1]},
                )


def _recurrent_norm(recurrence: Recurrence) -> float:
    """The norm of the gradient of all recurrent weights together."""
    return math.sqrt(
        sum(norms.before**2 for name, norms in recurrence.gradients.items() if "_hh" in name)
    )
