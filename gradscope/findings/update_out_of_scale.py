"""Steps too long or too short for the weights."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._finding import Evidence, Finding, Found, register


@register("update_out_of_scale")
class UpdateOutOfScale(Finding):
    """||change of W|| / ||W|| of one optimiser step, median over the recurrence's weights: above
    0.1, or below 1e-6.
    """

    remedies = ("smaller_lr",)

    largest: float = Field(0.1, gt=0, description="from which on a step is too long")
    smallest: float = Field(1e-6, gt=0, description="under which it is too short")

    def examine(self, evidence: Evidence) -> Iterator[Found]:
        """Needs recorded blocks that hold the optimiser's step."""
        for name in evidence.traces:
            moved = [
                evidence.recording.updates[n]
                for n, (_, before, _) in evidence.weights(name).items()
                if n in evidence.recording.updates and "weight" in n and before > 0
            ]
            if not any(moved):  # no step, as in a warm-up that begins at 0
                continue
            median = sorted(moved)[len(moved) // 2]
            if median > self.largest or median < self.smallest:
                long = median > self.largest
                yield self.found(
                    name,
                    f"the optimiser's step is too {'long' if long else 'short'}: it changes the"
                    f" weights by {median:.2g} of their size at once",
                    severity=0.6 if long else 0.4,
                    confidence=0.8,
                    remedies=("smaller_lr", "clip") if long else ("larger_lr",),
                    ratio=median,
                )
