"""Units that never switch on."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("dead_units")
class DeadUnits(Check):
    """The share of rectified units with u <= 0 at every step of every sequence: above 0.3.

    They and their weights get no gradient.
    """

    figure = "saturation"
    probe = "saturation"
    remedies = ("leaky_relu", "smaller_lr", "np_rnn", "irnn")

    share: float = Field(
        0.3,
        gt=0,
        le=1,
        description="share of units that are never active, 0 to 1, above which it is told",
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at units whose activation is zero on one side."""
        for recurrence in evidence.in_time:
            for name, gate in recurrence.gates.items():
                if not gate.activation.rectifies:
                    continue
                off = (gate.preactivation <= 0).flatten(0, -2)
                dead = off.all(0)
                share = float(dead.double().mean())
                if share > self.share:
                    yield self.finding(
                        recurrence.place,
                        f"{int(dead.sum())} of {len(dead)} units ({name}) are dead: never active "
                        f"in {len(off)} steps",
                        severity=0.3 + 0.7 * share,
                        confidence=1 - 1 / (len(off) + 2),
                        evidence={"share": share},
                    )
