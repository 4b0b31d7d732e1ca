"""An orthogonal start."""

from __future__ import annotations

from gradscope.remedies._changes import start_of_all
from gradscope.remedies._league import SIMPLE
from gradscope.remedies._plan import Plan
from gradscope.remedies._remedy import Remedy, register


@register("orthogonal_start")
class OrthogonalStart(Remedy):
    """Draw an orthogonal recurrent matrix."""

    of = ("RNN",)
    entrant = "tanh, orthogonal start"
    against = SIMPLE

    def apply(self, plan: Plan) -> bool:
        """Draw the recurrent matrix of every gate."""
        return start_of_all(plan, "orthogonal")
