"""Forget gates that start open."""

from __future__ import annotations

from gradscope.remedies._changes import forget_bias
from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("forget_bias")
class ForgetBias(Remedy):
    """Start the forget gates open: bias 1."""

    of = ("LSTM", "ProjectedLSTM")
    entrant = "LSTM, forget bias 1"
    against = "LSTM"

    def apply(self, plan: Plan) -> bool:
        """Set the bias of every LSTM to 1."""
        return forget_bias(plan, 1.0)
