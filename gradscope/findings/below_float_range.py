"""A gradient too small for its number format."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("below_float_range")
class BelowFloatRange(Check):
    """ln ||dL/ds_t|| is under the format's smallest normal number (float32: -87.3).

    Such a gradient is zero, or a subnormal number that makes training slow.
    """

    figure = "adjoint_norms"
    probe = "adjoint_norms"
    remedies = ("gru", "lstm_forget_bias", "update_bias", "flush_denormal")

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at the whole loss's adjoints, which are recorded with their scale."""
        for recurrence in evidence.recurrences:
            dtype = recurrence.trace.states.dtype
            if recurrence.total is None or dtype == torch.float64:
                continue
            least, logs = math.log(torch.finfo(dtype).tiny), recurrence.total.log_norms()[1:]
            lost = torch.isfinite(logs) & (logs < least)
            steps = int(lost.any(1).sum())
            if steps:
                yield self.finding(
                    recurrence.place,
                    f"at {steps} of {len(logs)} steps the gradient is below what "
                    f"{str(dtype).removeprefix('torch.')} holds (down to "
                    f"e^{float(logs[lost].min()):.0f}): it is lost, and on the way there subnormal "
                    "numbers slow training down",
                    severity=0.5,
                    confidence=0.95,
                    evidence={"steps": steps},
                )
