"""Zero biases."""

from __future__ import annotations

from gradscope.remedies._changes import recurrent_modules, zero_biases
from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("reset_biases")
class ResetBiases(Remedy):
    """Start with zero biases in all gates."""

    def apply(self, plan: Plan) -> bool:
        """Set the biases of torch's recurrent modules to zero."""
        changed = [zero_biases(module) for module in recurrent_modules(plan)]
        return any(changed)
