"""A gradient too small for its number format."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from gradscope.findings._finding import Evidence, Finding, Found, register


@register("below_float_range")
class BelowFloatRange(Finding):
    """ln ||dL/ds_t|| under the format's smallest normal number (float32: -87.3): zero, or a
    subnormal that makes training slow.
    """

    figure = "adjoint_norms"
    probe = "adjoint_norms"
    remedies = ("gru", "lstm_forget_bias", "update_bias", "flush_denormal")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Of the whole loss's adjoints, which are recorded with their scale."""
        for name, trace in evidence.traces.items():
            total = evidence.adjoint(name)
            if total is None or trace.states.dtype not in (
                torch.float32,
                torch.bfloat16,
                torch.float16,
            ):
                continue
            least, logs = math.log(torch.finfo(trace.states.dtype).tiny), total.log_norms()[1:]
            lost = torch.isfinite(logs) & (logs < least)
            steps = int(lost.any(1).sum())
            if steps:
                yield self.found(
                    name,
                    f"at {steps} of {len(logs)} steps the gradient is below what"
                    f" {str(trace.states.dtype).removeprefix('torch.')} holds (down to"
                    f" e^{float(logs[lost].min()):.0f}): it is lost, and on the way there subnormal"
                    " numbers slow training down",
                    severity=0.5,
                    confidence=0.95,
                    steps=steps,
                )
