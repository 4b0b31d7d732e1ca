"""Early inputs that the loss does not hear."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gradscope.findings._finding import Evidence, Finding, Found, laplace, middle, register, STRONG


@register("unheard_inputs")
class UnheardInputs(Finding):
    """||dL/dx_t||: from the beginning up to some t at least a quarter of the way, a thousandth of
    its largest or less.

    Of what reads the model's own inputs. First order only: what a loss does not hear in this sense,
    training does not use.
    """

    figure = "input_gradients"
    probe = "input_gradients"
    remedies = ("gru", "lstm_forget_bias", "lstm_chrono", "update_bias", "keep_state", "irnn")

    fall: float = Field(STRONG, gt=0, description="nats under the largest")
    share: float = Field(0.25, gt=0, lt=1, description="of the steps that must be unheard")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """By the median over sequences."""
        for name, trace in evidence.in_time.items():
            total = evidence.adjoint(name)
            if (
                total is None
                or total.by_input is None
                or not evidence.bottom(name)
                or trace.time < 8
            ):
                continue
            whole = evidence.lengths(name).to(trace.states.device) == trace.time
            logs = total.by_input.log_norms()[:, whole].cpu().numpy()
            logs = logs - np.maximum(logs.max(0), -1e300)
            curve = middle(logs)
            first = next((t for t, value in enumerate(curve) if value > -self.fall), len(curve))
            if first >= self.share * trace.time and first < len(curve):
                yield self.found(
                    name,
                    f"the loss does not hear the inputs before t = {first + 1} (T -"
                    f" {trace.time - first - 1}): their gradient is a thousandth of the largest or"
                    " less",
                    severity=0.2 + 0.5 * first / trace.time,
                    confidence=laplace(
                        [
                            np.all(one[: max(1, int(0.8 * first))] <= -0.9 * self.fall)
                            for one in logs.T
                        ]
                    ),
                    first_heard=first + 1,
                    steps=trace.time,
                )
