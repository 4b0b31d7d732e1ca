"""An LSTM that starts by remembering."""

from __future__ import annotations

from torch import nn

from gradscope.remedies._changes import forget_bias, swapped_for
from gradscope.remedies._league import SIMPLE
from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("lstm_forget_bias")
class LstmForgetBias(Remedy):
    """Use an LSTM whose forget gates start open (bias 1)."""

    of = ("RNN", "LSTM", "ProjectedLSTM")
    entrant = "LSTM, forget bias 1"
    against = SIMPLE
    in_place = "start its forget gates open (bias 1)"

    def apply(self, plan: Plan) -> bool:
        """Set the bias of every LSTM; without one, swap every nn.RNN for one."""
        return forget_bias(plan, 1.0) or (swapped_for(plan, nn.LSTM) and forget_bias(plan, 1.0))
