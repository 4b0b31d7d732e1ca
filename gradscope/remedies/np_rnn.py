"""ReLU and the np-RNN start."""

from __future__ import annotations

from gradscope.remedies._changes import rectified
from gradscope.remedies._league import SIMPLE
from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("np_rnn")
class NpRnn(Remedy):
    """Use ReLU with the np-RNN start.

    Reference: Talathi and Vartak (2016), Improving performance of recurrent neural network with
    ReLU nonlinearity.
    """

    of = ("RNN",)
    entrant = "ReLU, np-RNN"
    against = SIMPLE

    def apply(self, plan: Plan) -> bool:
        """Change every simple cell; its biases become zero."""
        return rectified(plan, "np_rnn")
