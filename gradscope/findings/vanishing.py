"""The gradient dies on its way back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding
from gradscope.findings._recurrence import Recurrence
from gradscope.findings._statistics import below_for_good, in_words, laplace, middle
from gradscope.results.statistics import STRONG

#: said where the whole loss does not vanish
_AROUND = "early states are moved by other ways (losses of their own, attention, the layer above)"


@register("vanishing")
class Vanishing(Check):
    """||J^T g||: what the last loss sends back falls by a factor of a thousand, and stays there.

    Of every recurrence, in time and in depth, along that recurrence alone; the lag is that at which
    the median over sequences has fallen so far. It is an illness if the task has to look further
    back. Where the whole loss moves the early states all the same, by losses of their own, by
    attention or by the layer above, the severity is halved and the sentence says so.

    Reference: Bengio, Simard and Frasconi (1994), Learning long-term dependencies with gradient
    descent is difficult.
    """

    figure = "traced_back"
    probe = "traced_back"
    remedies = (
        "gru",
        "lstm_forget_bias",
        "lstm_chrono",
        "update_bias",
        "keep_state",
        "irnn",
        "orthogonal_start",
        "orthogonal_for_good",
        "omega",
    )

    fall: float = Field(
        STRONG,
        gt=0,
        description=(
            "nats by which ||J^T g|| must fall for good; ln 1000 is a factor of a thousand"
        ),
    )
    steps: int = Field(8, ge=2, description="steps that a sequence must have before a fall is told")

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Find the lag beyond which the median over sequences has fallen for good."""
        for recurrence in evidence.recurrences:
            reach, in_depth = recurrence.reach, recurrence.place.along_depth
            if reach is None or recurrence.settles:
                continue
            curve = middle(reach)
            curve = curve[~np.isnan(curve)]
            lag, last = below_for_good(curve, -self.fall), len(curve) - 1
            if lag is None or last < (2 if in_depth else self.steps):
                continue
            fall, slope = -float(curve[-1]), _slope(curve)
            whole = _of_whole_loss(recurrence, last)
            around = whole is not None and whole > -self.fall
            shown = [
                bool(np.nanmin(logs[lag:]) < -0.9 * self.fall)
                for logs in reach.T
                if not np.isnan(logs[lag])
            ]
            yield self.finding(
                recurrence.place,
                f"vanishes: {recurrence.sent} has lost {in_words(fall)} after {last} "
                f"{recurrence.unit}, and a factor of a thousand beyond lag {lag} ({slope:+.2f} "
                f"nats a step){'; ' + _AROUND if around else ''}",
                severity=(0.3 + 0.7 * (1 - lag / last)) * (0.5 if around else 1.0),
                confidence=laplace(shown),
                remedies=("residual", "layer_norm") if in_depth else None,
                evidence={"lag": lag, "fall_nats": fall, "nats_per_step": slope},
            )


def _slope(curve: np.ndarray) -> float:
    """The slope of a line through what is finite of the curve; -inf where too little is."""
    finite = np.flatnonzero(np.isfinite(curve))
    return float(np.polyfit(finite, curve[finite], 1)[0]) if len(finite) > 2 else float("-inf")


def _of_whole_loss(recurrence: Recurrence, lag: int) -> float | None:
    """ln of ||dL/ds_t|| of the whole loss over its largest, at that lag.

    The median over sequences; None without a loss.
    """
    if recurrence.total is None:
        return None
    logs = recurrence.total.log_norms().cpu().numpy()
    largest = np.max(logs, axis=0)
    first = recurrence.time - recurrence.lengths.cpu().numpy()
    at = np.minimum(np.maximum(len(logs) - 1 - lag, first), len(logs) - 1)
    falls = (logs[at, np.arange(logs.shape[1])] - largest)[np.isfinite(largest)]
    return float(np.median(falls)) if len(falls) else None
