"""Inputs far from order 1."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.cells._held import Held
from gradscope.findings._finding import Evidence, Finding, Found, register


@register("inputs_out_of_scale")
class InputsOutOfScale(Finding):
    """Root mean square of what the recurrence reads: above 10, or below 1e-3 (but not zero)."""

    figure = "saturation"
    probe = "saturation"
    remedies = ("scale_inputs", "layer_norm")

    largest: float = Field(
        10.0, gt=0, description="root mean square from which on inputs are too large"
    )
    smallest: float = Field(1e-3, gt=0, description="under which they are too small")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Of what reads the model's own inputs."""
        for name, trace in evidence.in_time.items():
            if not evidence.bottom(name):
                continue
            x = (
                trace.inputs[..., :-1][trace.inputs[..., -1] > 0]
                if isinstance(trace.cell, Held)
                else trace.inputs
            )
            size = float(x.double().square().mean().sqrt())
            if size > self.largest or 0 < size < self.smallest:
                yield self.found(
                    name,
                    f"its inputs are too {'large' if size > 1 else 'small'}: root mean square"
                    f" {size:.3g}; about 1 is right",
                    severity=0.5,
                    confidence=0.9,
                    rms=size,
                )
