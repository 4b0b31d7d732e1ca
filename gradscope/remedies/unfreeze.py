"""Weights that may learn."""

from __future__ import annotations

from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("unfreeze")
class Unfreeze(Remedy):
    """Set requires_grad to True."""

    def apply(self, plan: Plan) -> bool:
        """Let all parameters of attached modules learn."""
        modules = [plan.model.get_submodule(name) for name in plan.places]
        frozen = [p for module in modules for p in module.parameters() if not p.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_()
        return bool(frozen)
