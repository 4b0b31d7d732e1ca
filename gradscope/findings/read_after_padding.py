"""An answer read behind padding."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding
from gradscope.findings._statistics import laplace


@register("read_after_padding")
class ReadAfterPadding(Check):
    """Inputs repeat one vector for the last steps of many sequences; only the last is scored.

    Between the last real input and the loss lie steps that only blur the state, and lengthen the
    gradient's way.
    """

    figure = "input_gradients"
    probe = "input_gradients"
    remedies = ("pack_sequences",)
    explains = ("unheard_inputs",)

    steps: int = Field(
        3, ge=1, description="steps of one repeated input at its end that make a sequence padded"
    )
    share: float = Field(
        0.3,
        gt=0,
        le=1,
        description="share of padded sequences in the batch, 0 to 1, from which on it is told",
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at sequences that are all of one length, as far as the model was told."""
        for recurrence in evidence.in_time:
            trace, place, scored = recurrence.trace, recurrence.place, recurrence.scored
            told = trace.mask is not None or place.reverse or not place.reads_inputs
            if scored is None or told or trace.time < 2 * self.steps:
                continue
            if int(scored.any(1).sum()) > 1 or not bool(scored[-1].any()):
                continue
            repeats = (trace.read[1:] == trace.read[-1]).all(-1)
            same = repeats.flip(0).int().cumprod(0).sum(0)
            tails = (same >= self.steps) & (same < trace.time - 1)
            if float(tails.double().mean()) >= self.share:
                median = int(same[tails].median())
                yield self.finding(
                    place,
                    f"{int(tails.sum())} of {len(tails)} sequences end in a constant input (median "
                    f"{median} steps) and are read at the last step: padding lies between the last "
                    "input and the loss",
                    severity=0.55,
                    confidence=laplace(tails),
                    evidence={"steps": median},
                )
