"""Smaller steps."""

from __future__ import annotations

from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("smaller_lr")
class SmallerLr(Remedy):
    """Take a tenth of the learning rate."""

    def apply(self, plan: Plan) -> bool:
        """Take a tenth of the plan's."""
        plan.learning_rate *= 0.1
        return True
