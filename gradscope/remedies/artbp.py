"""Truncation at random."""

from __future__ import annotations

from gradscope.remedies._remedy import Remedy, register


@register("artbp")
class Artbp(Remedy):
    """Truncate at random with weights that keep the gradient unbiased (ARTBP)."""

    entrant = "LSTM, ARTBP"
    against = "LSTM, TBPTT 20"
