"""Steps too long or too short for the weights."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("update_out_of_scale")
class UpdateOutOfScale(Check):
    """||change of W|| / ||W|| of one optimiser step is above 0.1, or below 1e-6.

    By the median over the recurrence's weights.
    """

    remedies = ("smaller_lr",)

    largest: float = Field(
        0.1,
        gt=0,
        description="||change of W|| / ||W|| of one optimiser step above which it is too long",
    )
    smallest: float = Field(
        1e-6,
        gt=0,
        description=("||change of W|| / ||W|| of one optimiser step under which it is too short"),
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at optimiser steps, where recorded blocks hold them."""
        for recurrence in evidence.recurrences:
            changes = sorted(
                change
                for name, change in recurrence.updates.items()
                if "weight" in name and recurrence.gradients[name].before > 0
            )
            if not any(changes):  # no step, as in a warm-up that begins at 0
                continue
            median = changes[len(changes) // 2]
            if median > self.largest or median < self.smallest:
                long = median > self.largest
                yield self.finding(
                    recurrence.place,
                    f"the optimiser's step is too {'long' if long else 'short'}: it changes the "
                    f"weights by {median:.2g} of their size at once",
                    severity=0.6 if long else 0.4,
                    confidence=0.8,
                    remedies=("smaller_lr", "clip") if long else ("larger_lr",),
                    evidence={"ratio": median},
                )
