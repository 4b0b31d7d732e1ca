"""The reverse direction read after one step."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("reverse_read_early")
class ReverseReadEarly(Check):
    """Of a bidirectional module only out[-1] is used.

    There the reverse direction has read one input, and all others are lost on it.
    """

    figure = "adjoint_norms"
    probe = "adjoint_norms"
    remedies = ("read_both_ends",)
    explains = ("unheard_inputs", "vanishing")

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at which of the reverse direction's steps have a loss."""
        for recurrence in evidence.in_time:
            scored, time = recurrence.scored, recurrence.time
            if not recurrence.place.reverse or scored is None or time < 4:
                continue
            heard = scored.any(0)
            index = torch.arange(len(scored), device=scored.device)[:, None]
            last = torch.where(heard, (scored * index).amax(0), 0)
            read = last - (time - recurrence.lengths)
            if bool((read[heard] <= 1).all()) and bool(heard.any()):
                yield self.finding(
                    recurrence.place,
                    f"the loss hears the reverse direction after one of its {time} steps only: "
                    "out[-1] is its beginning, not its end",
                    severity=0.7,
                    confidence=0.95,
                    evidence={"steps": time},
                )
