"""An orthogonal recurrent matrix."""

from __future__ import annotations

from gradscope.remedies._league import SIMPLE
from gradscope.remedies._remedy import Remedy, register


@register("orthogonal_for_good")
class OrthogonalForGood(Remedy):
    """Keep the recurrent matrix orthogonal (torch.nn.utils.parametrizations.orthogonal)."""

    of = ("RNN",)
    entrant = "tanh, orthogonal for good"
    against = SIMPLE
