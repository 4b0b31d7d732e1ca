"""Inputs far from order 1."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.dynamics.heads import headed
from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("inputs_out_of_scale")
class InputsOutOfScale(Check):
    """The root mean square of what is read is above 10, or below 1e-3 (but not zero)."""

    figure = "saturation"
    probe = "saturation"
    remedies = ("scale_inputs", "layer_norm")

    largest: float = Field(
        10.0, gt=0, description="root mean square of the inputs above which they are too large"
    )
    smallest: float = Field(
        1e-3,
        gt=0,
        description=(
            "root mean square of the inputs under which they are too small; 0 is not told"
        ),
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at what reads the model's own inputs."""
        for recurrence in evidence.in_time:
            trace = recurrence.trace
            if not recurrence.place.reads_inputs or headed(trace) is not None:
                continue  # those of a step with heads are its decays, keys and values
            x = trace.read if trace.mask is None else trace.read[trace.mask]
            size = float(x.double().square().mean().sqrt())
            if size > self.largest or 0 < size < self.smallest:
                yield self.finding(
                    recurrence.place,
                    f"its inputs are too {'large' if size > 1 else 'small'}: root mean square "
                    f"{size:.3g}; about 1 is right",
                    severity=0.5,
                    confidence=0.9,
                    evidence={"rms": size},
                )
