"""Batch taken for time."""

from __future__ import annotations

from collections.abc import Iterator

from gradscope.findings._finding import Evidence, Finding, Found, register


@register("axes_swapped")
class AxesSwapped(Finding):
    """Only one sequence of the batch has a loss, and it has one at every step: out[:, -1] of a
    module that is not batch_first.
    """

    figure = "adjoint_norms"
    probe = "adjoint_norms"
    remedies = ("batch_first",)

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """By where the immediate gradient is."""
        for name, trace in evidence.in_time.items():
            heard = evidence.heard(name)
            if heard is None or heard.shape[1] < 3 or trace.time < 3:
                continue
            columns = heard[1:].any(0)
            if int(columns.sum()) == 1 and bool(heard[1:, int(columns.nonzero()[0])].all()):
                yield self.found(
                    name,
                    f"only sequence {int(columns.nonzero()[0])} of {heard.shape[1]} has a loss, and"
                    f" it has one at all {trace.time} steps: batch and time seem to be mixed up",
                    severity=0.95,
                    confidence=0.9,
                    sequences=heard.shape[1],
                    steps=trace.time,
                )
