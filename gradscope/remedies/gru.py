"""A GRU."""

from __future__ import annotations

from torch import nn

from gradscope.remedies._changes import swapped_for
from gradscope.remedies._league import SIMPLE
from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("gru")
class Gru(Remedy):
    """Use a GRU in place of the simple cell."""

    of = ("RNN",)
    entrant = "GRU"
    against = SIMPLE

    def apply(self, plan: Plan) -> bool:
        """Put a GRU in the place of every nn.RNN."""
        return swapped_for(plan, nn.GRU)
