"""Units that never switch on."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.dynamics.activations import ACTIVATIONS
from gradscope.findings._finding import Evidence, Finding, Found, register


@register("dead_units")
class DeadUnits(Finding):
    """Share of rectified units with u <= 0 at every step of every sequence: above 0.3. They and
    their weights get no gradient.
    """

    figure = "saturation"
    probe = "saturation"
    remedies = ("leaky_relu", "smaller_lr", "np_rnn", "irnn")

    share: float = Field(0.3, gt=0, le=1, description="of units that are never active")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Of relu units."""
        for name in evidence.in_time:
            for gate, found in evidence.gates(name).items():
                if found.activation is not ACTIVATIONS["relu"]:
                    continue
                dead = (found.preactivation <= 0).flatten(0, -2).all(0)
                seen = found.preactivation.flatten(0, -2).shape[0]
                if (share := float(dead.double().mean())) > self.share:
                    yield self.found(
                        name,
                        f"{int(dead.sum())} of {len(dead)} units ({gate}) are dead: never active in"
                        f" {seen} steps",
                        severity=0.3 + 0.7 * share,
                        confidence=1 - 1 / (seen + 2),
                        share=share,
                    )
