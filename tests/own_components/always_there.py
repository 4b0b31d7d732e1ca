"""A finding of somebody's own."""

from gradscope.findings import Check, register


@register("always_there")
class AlwaysThere(Check):
    """A recurrence was recorded."""

    figure = "state_size_curves"
    probe = "state_sizes"
    remedies = ("tiny_lr",)

    def examine(self, evidence):
        for recurrence in evidence.in_time:
            yield self.finding(
                recurrence.place,
                f"took {recurrence.time} steps",
                severity=1.0,
                confidence=0.9,
                evidence={"steps": recurrence.time},
            )
