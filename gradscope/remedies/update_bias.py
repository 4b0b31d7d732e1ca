"""Update gates that keep."""

from __future__ import annotations

from torch import nn

from gradscope.remedies._changes import UPDATE_GATE, set_gate
from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("update_bias")
class UpdateBias(Remedy):
    """Start the update gates at keeping: bias 2 (torch's z keeps the old state)."""

    of = ("GRU",)

    def apply(self, plan: Plan) -> bool:
        """Set the bias of every GRU to 2."""
        grus = [module for _, module in plan.modules(nn.GRU, nn.GRUCell)]
        changed = [set_gate(module, UPDATE_GATE, 2.0) for module in grus]
        return any(changed)
