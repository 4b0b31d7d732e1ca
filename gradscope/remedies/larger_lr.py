"""Larger steps."""

from __future__ import annotations

from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("larger_lr")
class LargerLr(Remedy):
    """Take ten times the learning rate."""

    def apply(self, plan: Plan) -> bool:
        """Take ten times the plan's."""
        plan.learning_rate *= 10.0
        return True
