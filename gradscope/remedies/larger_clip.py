"""A larger clip."""

from __future__ import annotations

from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("larger_clip")
class LargerClip(Remedy):
    """Clip at a norm of 10: the clip should be for exceptions."""

    def apply(self, plan: Plan) -> bool:
        """Clip at 10, if it is not so already."""
        if plan.max_norm == 10.0:
            return False
        plan.max_norm = 10.0
        return True
