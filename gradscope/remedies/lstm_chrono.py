"""An LSTM whose gates start for long lags."""

from __future__ import annotations

import torch
from torch import nn

from gradscope.remedies._changes import FORGET_GATE, INPUT_GATE, set_gate, swapped_for
from gradscope.remedies._league import SIMPLE
from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("lstm_chrono")
class LstmChrono(Remedy):
    """Use an LSTM with chrono biases for the longest lag T: b_f ~ ln U(1, T - 1), b_i = -b_f.

    Its input gates start nearly shut.

    Reference: Tallec and Ollivier (2018), Can recurrent neural networks warp time?
    """

    of = ("RNN", "LSTM", "ProjectedLSTM")
    entrant = "LSTM, chrono"
    against = SIMPLE
    in_place = (
        "give its gates chrono biases for the longest lag T: b_f ~ ln U(1, T - 1), b_i = -b_f"
    )

    def apply(self, plan: Plan) -> bool:
        """Set the biases of every LSTM for T = 100; without one, swap every nn.RNN for one."""
        return _chrono(plan) or (swapped_for(plan, nn.LSTM) and _chrono(plan))


def _chrono(plan: Plan) -> bool:
    changed = []
    for _, module in plan.modules(nn.LSTM, nn.LSTMCell):
        generator = torch.Generator().manual_seed(0)
        lags = torch.rand(module.hidden_size, generator=generator).mul(98).add(1)
        bias = lags.log().to(next(module.parameters()))
        changed += [set_gate(module, FORGET_GATE, bias), set_gate(module, INPUT_GATE, -bias)]
    return any(changed)
