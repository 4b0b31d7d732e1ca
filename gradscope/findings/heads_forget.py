"""Heads that forget within a step."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.dynamics.heads import headed
from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding
from gradscope.findings._statistics import laplace


@register("heads_forget")
class HeadsForget(Check):
    """More than half of the heads of S_t = A_t S_{t-1} + B_t lose a factor e within a step.

    -ln ||A_T ... A_1|| / T is above 1 nat a step. A Mamba-2 whose steps are softplus(1) and whose A
    is 1 .. H is such a one: its heads remember 0.76 to 0.05 steps. As published, steps lie in
    [0.001, 0.1], and heads remember 0.6 to 1000.

    Reference: Dao and Gu (2024), Transformers are SSMs.
    """

    figure = "heads"
    probe = "heads"
    remedies = ("slow_decays",)
    explains = ("vanishing", "unheard_inputs")

    share: float = Field(
        0.5, gt=0, lt=1, description="share of heads, 0 to 1, of which more forget within a step"
    )
    rate: float = Field(
        1.0, gt=0, description="nats a step that a head loses at least to be counted"
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Take the loss of every head over the whole sequence."""
        for recurrence in evidence.in_time:
            step = headed(recurrence.trace)
            if step is None or recurrence.resets is not None or recurrence.time < 2:
                continue
            by = step.transitions(recurrence.trace.inputs)
            lost = -by.log_norms([recurrence.time])[0] / recurrence.time
            forgets = lost > self.rate
            share = float(forgets.double().mean())
            if not share > self.share:
                continue
            sure = laplace(forgets.double().mean(-1) > self.share)
            longest = 1 / float(lost.median(0).values.amin().clamp_min(1e-12))
            yield self.finding(
                recurrence.place,
                f"{round(share * step.heads)} of {step.heads} heads lose a factor e within a step; "
                f"the head that remembers longest does so after {longest:.2g} "
                f"step{'s' * (longest != 1)}",
                severity=0.5 + 0.4 * share,
                confidence=sure,
                evidence={"share_of_heads": share, "longest_horizon": longest},
            )
