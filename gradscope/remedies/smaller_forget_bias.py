"""Forget gates that leak."""

from __future__ import annotations

from gradscope.remedies._changes import forget_bias
from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("smaller_forget_bias")
class SmallerForgetBias(Remedy):
    """Start the forget gates at bias 0, so that the cell may leak."""

    of = ("LSTM", "ProjectedLSTM")

    def apply(self, plan: Plan) -> bool:
        """Set the bias of every LSTM to 0."""
        return forget_bias(plan, 0.0)
