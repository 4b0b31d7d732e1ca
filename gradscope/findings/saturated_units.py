"""Units at the ends of their range."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.dynamics import saturated
from gradscope.dynamics.activations import ACTIVATIONS
from gradscope.findings._finding import Evidence, Finding, Found, laplace, register

#: activations whose ends are flat
SQUASHING = ("tanh", "sigmoid", "hard_tanh", "erf", "softsign")


@register("saturated_units")
class SaturatedUnits(Finding):
    """Share of (step, sequence, unit) with |phi'(u)| at most a tenth of its largest, for h, g or n:
    above 0.6.

    A saturated unit passes no gradient to anything before it.
    """

    figure = "saturation"
    probe = "saturation"
    remedies = ("smaller_start", "scale_inputs", "layer_norm", "smaller_lr")

    share: float = Field(0.6, gt=0, le=1, description="of saturated units")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Of squashing units alone: h, g and n with tanh or a sigmoid."""
        for name in evidence.in_time:
            for gate, found in evidence.gates(name).items():
                if gate not in ("h", "g", "n") or not any(
                    found.activation is ACTIVATIONS[name] for name in SQUASHING
                ):
                    continue
                low, high = saturated(found.activation, found.preactivation, 0.1)
                flat = (low | high).double().mean(-1)
                if (share := float(flat.mean())) > self.share:
                    yield self.found(
                        name,
                        f"{share:.0%} of its units ({gate}) are saturated, and pass no gradient",
                        severity=0.4 + 0.5 * share,
                        confidence=laplace((flat.mean(0) > self.share).cpu()),
                        share=share,
                    )
