"""A loop whose training has gradients on for some of its steps alone."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.dynamics import trained_gradient
from gradscope.errors import GradscopeError
from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("steps_without_gradient")
class StepsWithoutGradient(Check):
    """The gradient in use reaches fewer steps than a loop takes, and is another than the full one.

    The other steps run under no_grad, or their result is detached, as in recursive models that
    train their last cycle alone, or fixed points trained by one step. How much that matters is the
    cosine between the two gradients of the loop's parameters, at the weights of now.
    """

    figure = "truncation_bias"
    probe = "truncation_bias"
    remedies = ("longer_tbptt",)
    explains = ("truncated_early",)

    cosine: float = Field(
        0.9,
        gt=-1,
        lt=1,
        description="cosine of the gradient in use and the full one, under which they are two",
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Look at loops, which were run again with all gradients on."""
        for recurrence in evidence.in_time:
            if not recurrence.place.loop or not recurrence.is_heard:
                continue
            try:
                found = trained_gradient(recurrence.trace)
            except GradscopeError:  # a step that cannot be linearised
                continue
            if found is None or found.seen >= found.steps or not found.cosine < self.cosine:
                continue
            yield self.finding(
                recurrence.place,
                f"its gradient reaches {found.seen} of {found.steps} steps, the others run without "
                f"one: its cosine with the gradient through all is {found.cosine:.2f}, its norm "
                f"{found.norm_ratio:.2g} of that one's",
                severity=0.2 + 0.4 * (1 - found.cosine),
                confidence=0.95,
                evidence={
                    "seen": found.seen,
                    "steps": found.steps,
                    "cosine": found.cosine,
                    "norm_ratio": found.norm_ratio,
                },
            )
