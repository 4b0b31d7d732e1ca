"""Batch taken for time."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("axes_swapped")
class AxesSwapped(Check):
    """Only one sequence of the batch has a loss, and it has one at every step.

    So it is with out[:, -1] of a module that is not batch_first.
    """

    figure = "adjoint_norms"
    probe = "adjoint_norms"
    remedies = ("batch_first",)
    explains = ("one_sequence_rules", "vanishing", "unheard_inputs", "read_after_padding")

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at which sequences and steps have a loss."""
        for recurrence in evidence.in_time:
            scored, time = recurrence.scored, recurrence.time
            if scored is None or scored.shape[1] < 3 or time < 3:
                continue
            sequences = scored[1:].any(0).nonzero().flatten()
            if len(sequences) == 1 and bool(scored[1:, sequences[0]].all()):
                yield self.finding(
                    recurrence.place,
                    f"only sequence {int(sequences[0])} of {scored.shape[1]} has a loss, and it "
                    f"has one at all {time} steps: batch and time seem to be mixed up",
                    severity=0.95,
                    confidence=0.9,
                    evidence={"sequences": scored.shape[1], "steps": time},
                )
