"""ReLU and the identity."""

from __future__ import annotations

from gradscope.remedies._changes import rectified
from gradscope.remedies._league import SIMPLE
from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("irnn")
class Irnn(Remedy):
    """Use ReLU with the identity as recurrent matrix (IRNN).

    Reference: Le, Jaitly and Hinton (2015), A simple way to initialize recurrent networks of
    rectified linear units.
    """

    of = ("RNN",)
    entrant = "ReLU, IRNN"
    against = SIMPLE

    def apply(self, plan: Plan) -> bool:
        """Change every simple cell; its biases become zero."""
        return rectified(plan, "identity")
