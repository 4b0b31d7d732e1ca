"""Early inputs that the loss does not hear."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding
from gradscope.findings._statistics import laplace, middle
from gradscope.results.statistics import STRONG


@register("unheard_inputs")
class UnheardInputs(Check):
    """||dL/dx_t|| is a thousandth of its largest or less for the first quarter of the steps.

    Of what reads the model's own inputs. First order only: what a loss does not hear in this sense,
    training does not use.
    """

    figure = "input_gradients"
    probe = "input_gradients"
    remedies = ("gru", "lstm_forget_bias", "lstm_chrono", "update_bias", "keep_state", "irnn")

    fall: float = Field(
        STRONG,
        gt=0,
        description=(
            "nats under the largest ||dL/dx_t|| from which on an input is unheard; ln "
            "1000 is a thousandth"
        ),
    )
    share: float = Field(
        0.25,
        gt=0,
        lt=1,
        description="share of the steps, the first ones, 0 to 1, that must be unheard",
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Take the median over sequences."""
        for recurrence in evidence.in_time:
            time, total = recurrence.time, recurrence.total
            if total is None or total.by_input is None:
                continue
            if not recurrence.place.reads_inputs or time < 8:
                continue
            logs = total.by_input.log_norms()[:, recurrence.whole].cpu().numpy()
            logs = logs - np.maximum(logs.max(0), -1e300)
            heard = np.flatnonzero(middle(logs) > -self.fall)
            if not len(heard) or heard[0] < self.share * time:
                continue
            first = int(heard[0])
            early = logs[: max(1, int(0.8 * first))]
            yield self.finding(
                recurrence.place,
                f"the loss does not hear the inputs before t = {first + 1} (T - "
                f"{time - first - 1}): their gradient is a thousandth of the largest or less",
                severity=0.2 + 0.5 * first / time,
                confidence=laplace((early <= -0.9 * self.fall).all(0).tolist()),
                evidence={"first_heard": first + 1, "steps": time},
            )
