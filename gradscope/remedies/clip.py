"""A clip."""

from __future__ import annotations

from gradscope.remedies._league import SIMPLE
from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("clip")
class Clip(Remedy):
    """Clip the gradient's global norm at 1."""

    entrant = SIMPLE
    against = "tanh, nothing"

    def apply(self, plan: Plan) -> bool:
        """Clip at 1, if it is not so already."""
        if plan.max_norm == 1.0:
            return False
        plan.max_norm = 1.0
        return True
